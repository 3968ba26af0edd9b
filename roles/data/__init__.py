"""The values that `--data NAME=VALUE` gives to a run: which there are, what each may be, and how it is read."""

from roles.data.forms import Form
from roles.data.known import (
    AT_ONCE,
    GENERATION,
    OVERSIZED,
    REPORT,
    REQUEST,
    ROTATE,
    SSH_SILENCE,
    TAKE_OVER,
    UNLOCKED,
    UPGRADE,
    VALUES,
    VERIFY,
    More,
    Value,
    of_deploys,
)

__all__ = [
    "AT_ONCE",
    "GENERATION",
    "OVERSIZED",
    "REPORT",
    "REQUEST",
    "ROTATE",
    "SSH_SILENCE",
    "TAKE_OVER",
    "UNLOCKED",
    "UPGRADE",
    "VALUES",
    "VERIFY",
    "Form",
    "More",
    "Value",
    "of_deploys",
]
