"""The memory plan beside what `llama-server` says that it allocates, and what the driver says that it holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from roles.fit.file import facts_of_file
from roles.fit.llama_cpp import Settings, compute_buffer, needs
from roles.fit.table import CONTEXT_OF_CUDA
from tests.gpu.steps import StepError
from tests.llama_server_log import allocated

_MIB = 1 << 20
_CONTEXTS = (2048, 8192, 16384)
_TYPES = ("f16", "q8_0")
_TOLERANCES = {"model": 0.02, "KV": 0.02, "compute": 0.15}
"""The buffers' kinds, and how far the plan may be from what is allocated: the bounds that docs/memory.md states."""
_TOLERANCE_OF_CARD = 0.15
"""All that a process holds, its CUDA context included."""


@dataclass(frozen=True)
class Measured:
    """A running server: its log, and the bytes of cards that the driver says it holds; None = there is no card."""

    log: str
    on_card: int | None


def settings() -> Iterator[Settings]:
    """Three contexts, each with two types of cache, in one slot."""
    for context, of in itertools.product(_CONTEXTS, _TYPES):
        yield Settings(context, key_type=of, value_type=of)


def arguments(its: Settings) -> tuple[str, ...]:
    """What llama-server is started with for them, after its unit's own arguments: the last of two counts."""
    return (
        "--ctx-size", str(its.context), "--parallel", str(its.parallel), "--ubatch-size", str(its.batch),
        "--flash-attn", "on" if its.flash_attention else "off",
        "--cache-type-k", its.key_type, "--cache-type-v", its.value_type,
    )  # fmt: skip


def compare(model: Path, measure: Callable[[Settings], Measured]) -> str:
    """Measure a server with each of the settings.

    Returns:
        In one line, how far the plan was from what was allocated, at most.

    Raises:
        StepError: the plan is further from it than the documentation says.
    """
    facts = facts_of_file(model)
    furthest: dict[str, float] = {}
    for its in settings():
        measured = measure(its)
        need = needs(facts, its, with_card=measured.on_card is not None)
        planned = {
            "model": need.card.weights + need.main.weights,
            "KV": need.card.cache + need.main.cache,
            "compute": compute_buffer(facts, its),
        }
        found = {what: (planned[what], allocated(measured.log, what) * _MIB) for what in planned}
        if measured.on_card is not None:
            del found["model"], found["compute"]  # some of them lie in both memories, by rules of its own
            found["card"] = (need.card.total + CONTEXT_OF_CUDA, measured.on_card)
        for what, (plan, is_so) in found.items():
            away = plan / is_so - 1
            if abs(away) > _TOLERANCES.get(what, _TOLERANCE_OF_CARD):
                raise StepError(
                    f"context {its.context}, {its.key_type}: {what} is planned with {plan / _MIB:.0f} MiB, "
                    f"and has {is_so / _MIB:.0f}", measured.log
                )  # fmt: skip
            if abs(away) >= abs(furthest.get(what, 0.0)):
                furthest[what] = away
    tried = f"{len(_CONTEXTS)} contexts x {len(_TYPES)} types of cache"
    return f"{tried}; furthest from it: " + ", ".join(f"{what} {away:+.1%}" for what, away in furthest.items())
