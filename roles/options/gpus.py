"""Which graphics cards a server runs on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from roles.options.base import Many, Options
from roles.options.spelling import spelled
from roles.options.values import MemorySize, Seconds

GpuUuid = Annotated[
    str,
    spelled(
        "(GPU|MIG)-[0-9a-f-]{8,40}",
        'UUID of a card, such as "GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10": `nvidia-smi -L` or `rocminfo` prints them',
    ),
]
"""A card as `nvidia-smi -L` (or `rocminfo`) names it. Unlike its number, it survives reboots and rebuilds."""


class Gpus(Options):
    """The cards of one server. Its unit gets their device files and waits for them at its start."""

    vendor: Literal["nvidia", "amd"] = Field("nvidia", examples=['vendor="amd"'])
    """The vendor of their driver."""
    uuids: Many[GpuUuid] = Field((), examples=['uuids=["GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10"]'])
    """The cards, by UUID (`nvidia-smi -L`); none = all of the host."""
    memory: MemorySize | None = Field(None, examples=['memory="24G"'])
    """Memory of each card as its maker states it, to plan with before a host is there; none = nothing is planned until
    the host is read."""
    wait: Annotated[Seconds, Field(le=3600)] = Field(120, examples=["wait=300"])
    """Seconds that a start waits for the driver, the cards, and the memory that it needs on them."""

    @field_validator("uuids")
    @classmethod
    def _each_once(cls, uuids: tuple[str, ...]) -> tuple[str, ...]:
        for uuid in uuids:
            if uuids.count(uuid) > 1:
                raise ValueError(f"{uuid} is there twice; remove one")
        return uuids
