"""A deployed generation as the verifier knows it, for tests without a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from roles.verify.context import VerificationContext
from roles.verify.generation import Deployment, Generation, Probe, Route


def deployed(folder: Path, **options: Any) -> Generation:
    """In that folder; nothing is deployed but what the `options` say."""
    nothing: dict[str, Any] = {"scope": "system", "gateway": None, "providers": (), "routes": ()}
    return Generation(**{"folder": folder, "config": folder, "state": folder, **nothing, **options})


def context(generation: Generation, client: httpx.AsyncClient, **options: Any) -> VerificationContext:
    """What a run on it asks with; its units' runtime folders lie in its folder."""
    return VerificationContext(generation, client, **{"runtime": generation.folder, **options})


def route(name: str, deployments: tuple[Deployment, ...], probe: Probe, **options: Any) -> Route:
    """A chat route that promises nothing more and falls back to no other."""
    plain: dict[str, Any] = {
        "mode": "chat",
        "aliases": (),
        "tools": False,
        "structured_outputs": False,
        "balance": False,
        "fallbacks": (),
        "context_window_fallbacks": (),
        "content_policy_fallbacks": (),
    }
    return Route(name=name, deployments=deployments, probe=probe, **{**plain, **options})
