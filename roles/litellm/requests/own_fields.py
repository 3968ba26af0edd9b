"""What a deployment's requests must have in their bodies stands, whatever a client says there.

LiteLLM takes it from the deployment's `extra_body`, which is no field for clients. But what a request has beside it
would be added, or stand in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_clients_own(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """What LiteLLM is to ask a deployment with instead; None = the same.

    Args:
        call: LiteLLM's arguments of one attempt.
    """
    fixed = call.get("extra_body")
    if not isinstance(fixed, Mapping) or not fixed.keys() & call.keys():
        return None
    return {name: value for name, value in call.items() if name not in fixed}
