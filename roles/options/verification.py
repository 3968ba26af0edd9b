"""How a host verifies itself, without anybody asking."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SerializeAsAny

from roles.options.base import Options
from roles.options.secrets import GivenSecret


class Verification(Options):
    """The verification that a host makes of itself: after each boot, and then regularly."""

    every: Annotated[int, Field(ge=60)] = 900
    """Seconds from the end of one verification to the next. Each asks every model a short question."""
    textfile: Annotated[str, Field(pattern=r"^/[^\s]+\.prom$")] | None = None
    """File for the metrics, e.g. `/var/lib/prometheus/node-exporter/ai_backend.prom`; its folder must be there. None =
    `verdicts/ai_backend.prom` in the state folder."""
    webhook: SerializeAsAny[GivenSecret] | None = None
    """Address that is told, by a POST of JSON, when the host stops to hold and when it holds again. A secret: such
    addresses let anybody who knows them write there."""
