"""How an answer is judged: what was seen of it, what is wrong with it, and whether the right backend gave it."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from roles.verify.generation import Route
from roles.verify.probe.answers import Answer
from roles.verify.verdict.claim import CheckFailed, CoolingDown, Problem
from roles.verify.verdict.quoting import quoted

SHOWN_WORDS = 60
"""Characters of a good answer that a report shows: enough to see that it is one."""


def concluded(seen: str, problems: Sequence[Problem], origin_problems: Sequence[Problem]) -> str:
    """What was seen, if nothing is wrong with it. If another backend has answered, that explains the other problems."""
    message = "; ".join(map(str, [*problems, *origin_problems]))
    if origin_problems:
        raise CoolingDown(origin_problems[0].code, message)
    if problems:
        raise CheckFailed(problems[0].code, message)
    return seen


def shown(answer: Answer) -> str:
    return quoted(answer.words, SHOWN_WORDS)


def origin_problems(headers: httpx.Headers, route: Route, wanted_fallbacks: int = 0) -> list[Problem]:
    """LiteLLM names in its headers who answered, even if a fallback did and the body does not say so.

    Args:
        wanted_fallbacks: which of its route's fallbacks must have answered; 0 = none.
    """
    wrong: list[str] = []
    bases = {deployment.id: deployment.api_base for deployment in route.deployments}
    origin = headers.get("x-litellm-model-id")
    # The front removes it for clients: a staged gateway sends it.
    base = headers.get("x-litellm-model-api-base")
    fallbacks = headers.get("x-litellm-attempted-fallbacks", "0")
    if origin is None:
        wrong.append("no x-litellm-model-id in the answer's headers")
    elif origin not in bases:
        wrong.append(f"answered by {quoted(origin)} at {base or 'no named address'}")
    elif base is not None and bases[origin] and base.rstrip("/") != bases[origin].rstrip("/"):
        wrong.append(f"{origin} answered at {base or 'no named address'}, not {bases[origin]}")
    # LiteLLM 1.106.2 counts how deep they are nested (`run_async_fallback`): of the second of a route it says 1 or 2.
    right = range(1, wanted_fallbacks + 1) if wanted_fallbacks else (0,)
    if fallbacks not in map(str, right):
        wrong.append(f"attempted fallbacks: {fallbacks}")
    return [Problem("wrong-origin", message) for message in wrong]
