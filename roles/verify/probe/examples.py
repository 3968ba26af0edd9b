"""An example request for a route, to be sent by hand by the reader of a report."""

from __future__ import annotations

from typing import Any

from roles.contract.modes import MODES
from roles.verify.generation import Route


def example_request(route: Route) -> tuple[str, dict[str, Any]]:
    """The path below `/v1`, and the body. A cached answer is acceptable, unlike in a verification."""
    probe, mode = route.probe, MODES[route.mode]
    longest = {"max_tokens": probe.max_tokens} if mode.generates else {}
    return mode.path, {"model": route.name, **mode.body(probe.prompt, probe.documents), **longest}
