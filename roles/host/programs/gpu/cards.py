"""The shape of the facts about a host's GPUs."""

from __future__ import annotations

from typing import TypedDict


class Process(TypedDict):
    """A process that uses a card's memory; name and bytes are none if the driver does not report them."""

    pid: int
    name: str | None
    memory: int | None


class Card(TypedDict):
    """One GPU.

    index: NVIDIA's number in the order of PCI addresses, or ROCm's.
    uuid: in the form of CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES; none for AMD's integrated graphics.
    memory_total: bytes available to programs: without the driver's own share, as CUDA counts it.
    compute_capability: `8.9` or `gfx1100`.
    problem: why it cannot be used as a whole card; none = it can.
    exclusive: only one process at a time may compute on it.
    """

    index: int
    uuid: str | None
    name: str
    memory_total: int | None
    memory_free: int | None
    compute_capability: str | None
    pci: str | None
    problem: str | None
    exclusive: bool
    processes: list[Process]


class Driver(TypedDict):
    """Versions. `agree` is false if the kernel module and the library are known to differ."""

    kernel: str | None
    library: str | None
    cuda: str | None
    agree: bool


class Facts(TypedDict):
    """The output of `gpu facts`. `problem` concerns the host: if set, treat its cards as unusable."""

    vendor: str | None
    driver: Driver
    cards: list[Card]
    problem: str | None


def cuda_architectures(found: Facts) -> str:
    """The compile targets of the cards: CMAKE_CUDA_ARCHITECTURES (`86;89`), or AMDGPU_TARGETS (`gfx1100`)."""
    names = {(card["compute_capability"] or "").replace(".", "") for card in found["cards"]} - {""}
    return ";".join(sorted(names, key=lambda name: (len(name), name)))


def no_cards() -> Facts:
    """The facts of a host without a GPU."""
    return {
        "vendor": None,
        "driver": {"kernel": None, "library": None, "cuda": None, "agree": True},
        "cards": [],
        "problem": None,
    }
