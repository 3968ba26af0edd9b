"""A deployed generation as the verifier knows it, for tests without a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roles.verify.generation import Generation


def deployed(folder: Path, **options: Any) -> Generation:
    """In that folder; nothing is deployed but what the `options` say."""
    nothing: dict[str, Any] = {"scope": "system", "gateway": None, "providers": (), "routes": ()}
    return Generation(**{"folder": folder, "config": folder, "state": folder, **nothing, **options})
