"""One id for a request in all logs: vLLM, which logs requests, is sent the id that the client gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LOGS_REQUESTS = "hosted_vllm/"
"""How the models begin whose servers read the header. Others are not sent what they have no use for."""
_HEADER = "X-Request-ID"


def with_request_id(call: Mapping[str, Any], call_type: str) -> dict[str, Any] | None:
    """What LiteLLM is to ask a deployment with instead; None = the same.

    Args:
        call: LiteLLM's arguments of one attempt. The header is no part of what it finds cached answers by.
        call_type: LiteLLM's name of the call.
    """
    name, model = call.get("litellm_call_id"), call.get("model")
    if not name or not isinstance(model, str) or not model.startswith(_LOGS_REQUESTS):
        return None
    # LiteLLM sends none of the others with a rerank.
    argument = "headers" if call_type == "arerank" else "extra_headers"
    given = call.get(argument)
    # A client may have put some into its request.
    others = given.items() if isinstance(given, Mapping) else ()
    kept = {header: value for header, value in others if str(header).lower() != _HEADER.lower()}
    return {**call, argument: {**kept, _HEADER: name}}
