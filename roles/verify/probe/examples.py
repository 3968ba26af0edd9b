"""What to ask a route by hand: a request that it should answer, for who reads a report."""

from __future__ import annotations

from typing import Any

from roles.verify.generation import Route


def example_request(route: Route) -> tuple[str, dict[str, Any]]:
    """The path below `/v1`, and the body. An answer that the gateway has kept will do, unlike in a verification."""
    probe, body = route.probe, {"model": route.name}
    match route.mode:
        case "chat":
            messages = [{"role": "user", "content": probe.prompt}]
            return "/chat/completions", {**body, "messages": messages, "max_tokens": probe.max_tokens}
        case "completion":
            return "/completions", {**body, "prompt": probe.prompt, "max_tokens": probe.max_tokens}
        case "embedding":
            return "/embeddings", {**body, "input": probe.prompt}
        case "rerank":
            return "/rerank", {**body, "query": probe.prompt, "documents": list(probe.documents)}
