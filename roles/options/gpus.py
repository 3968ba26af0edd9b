"""Which graphics cards a server runs on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from roles.options.base import Many, Options
from roles.options.values import Seconds

GpuUuid = Annotated[str, StringConstraints(pattern=r"^(GPU|MIG)-[0-9a-f-]{8,40}$")]
"""A card as `nvidia-smi -L` (or `rocminfo`) names it. Unlike its number, it survives reboots and rebuilds."""


class Gpus(Options):
    """The cards of one server. Its unit gets their device files and waits for them at its start."""

    vendor: Literal["nvidia", "amd"] = Field("nvidia", examples=['vendor="amd"'])
    """The vendor of their driver."""
    uuids: Many[GpuUuid] = Field((), examples=['uuids=["GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10"]'])
    """The cards, by UUID (`nvidia-smi -L`); none = all of the host."""
    wait: Annotated[Seconds, Field(le=3600)] = Field(120, examples=["wait=300"])
    """Seconds that a start waits for the driver, the cards, and the memory that it needs on them."""
