"""The journal of the host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.options.base import Options
from roles.options.values import MemorySize


class Journal(Options):
    """Bounds on the host's journal: that of all its units, as they share one."""

    max_size: MemorySize = Field("2G", examples=['max_size="8G"'])
    """Space on the disk for it; when that is full, the oldest entries are removed."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(None, examples=["keep_days=30"])
    """Days after which entries are removed, though there is space; none = they stay as long as there is."""
