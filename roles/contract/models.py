"""Where models may be on a host, and what a unit sees there."""

from __future__ import annotations

MODELS_LINKS = "models-elsewhere"
"""Below the state: a link for each folder of another disk that models are or were in."""
HOMES = ("/home", "/root", "/run/user")
"""Where `ProtectHome=` hides everything."""


def is_hidden(path: str) -> bool:
    """Whether `ProtectHome=` hides a path from a unit in system scope."""
    return any(path == home or path.startswith(f"{home}/") for home in HOMES)
