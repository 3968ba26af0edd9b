"""Who answered, by LiteLLM's headers."""

from __future__ import annotations

import httpx
import pytest

from roles.verify.checks.judging import origin_problems
from roles.verify.generation import Deployment, Probe
from tests.deployed import route

ROUTE = route("wide", (Deployment("wide@wide", "http://127.0.0.1:1", "wide"),), Probe("Who?", None, 8, timeout=1.0))


@pytest.mark.parametrize(
    ("wanted", "counted", "right"),
    [
        pytest.param(0, None, True, id="none, not said"),
        pytest.param(0, "0", True, id="none"),
        pytest.param(0, "1", False, id="none wanted"),
        pytest.param(1, "1", True, id="the first"),
        pytest.param(1, "0", False, id="the route itself"),
        pytest.param(1, "2", False, id="one too many"),
        pytest.param(2, "1", True, id="the second, counted as nested"),
        pytest.param(2, "2", True, id="the second"),
        pytest.param(2, "0", False, id="the route itself, not the second"),
        pytest.param(2, "3", False, id="the third, not the second"),
    ],
)
def test_the_fallback_that_answers_is_the_wanted_one(wanted: int, counted: str | None, right: bool) -> None:
    headers = {"x-litellm-model-id": "wide@wide"} | ({"x-litellm-attempted-fallbacks": counted} if counted else {})
    assert (origin_problems(httpx.Headers(headers), ROUTE, wanted) == []) is right
