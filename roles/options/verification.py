"""How a host verifies itself automatically."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SerializeAsAny

from roles.options.base import Options
from roles.options.secrets import GivenSecret
from roles.options.spelling import spelled

AskApis: TypeAlias = Literal["after-changes", "on-demand"]
"""When routes are asked as client programs ask."""


class Verification(Options):
    """The verification that a host makes of itself: after each boot, and then regularly; and what a deploy verifies."""

    every: Annotated[int, Field(ge=60)] = Field(900, examples=["every=300"])
    """Seconds from the end of one verification to the next. Each sends every model a short question."""
    textfile: Annotated[str, spelled(r"/\S+\.prom", 'whole path of a file whose name ends in ".prom"')] | None = Field(
        None, examples=['textfile="/var/lib/prometheus/node-exporter/ai_backend.prom"']
    )
    """File for the metrics, e.g. `/var/lib/prometheus/node-exporter/ai_backend.prom`; its folder must exist. None =
    `verdicts/ai_backend.prom` in the state folder."""
    speed_at: Annotated[str, spelled("([01][0-9]|2[0-3]):[0-5][0-9]", 'time of day such as "03:00"')] | None = Field(
        "03:00", examples=['speed_at="04:30"']
    )
    """Time of day, on the host's clock, from which on the speed of each route is measured once, within three hours, as
    soon as no request of others is under way; none = never."""
    webhook: SerializeAsAny[GivenSecret] | None = Field(None, examples=['webhook=EnvSecret("ALERT_WEBHOOK")'])
    """Address that gets a POST of JSON when the host stops passing and when it passes again. A secret: anyone who knows
    such an address can write to it."""
    apis: AskApis = Field("after-changes", examples=['apis="on-demand"'])
    """When routes are asked as client programs ask, and with their mistakes: by each deploy that starts or restarts a
    server, for a minute at most, or only by `--data verify=apis`."""
