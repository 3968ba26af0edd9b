"""vLLM is sent the request's id, and is asked for nothing else than before."""

from __future__ import annotations

from typing import Any

import pytest

from roles.litellm.requests.request_id import with_request_id

ID = "6d2e9c3a"


def call(model: str = "hosted_vllm/tiny-vllm", **more: Any) -> dict[str, Any]:
    return {"model": model, "litellm_call_id": ID, "messages": ["hello"], **more}


@pytest.mark.parametrize(
    ("call_type", "argument"),
    [("acompletion", "extra_headers"), ("aresponses", "extra_headers"), ("", "extra_headers"), ("arerank", "headers")],
)
def test_vllm_is_sent_the_id_as_a_header(call_type: str, argument: str) -> None:
    before = call()
    assert with_request_id(before, call_type) == {**call(), argument: {"X-Request-ID": ID}}
    assert before == call()


@pytest.mark.parametrize("model", ["ollama_chat/tiny", "openai/tiny", "docker_model_runner/tiny"])
def test_a_server_that_logs_no_requests_is_sent_none(model: str) -> None:
    assert with_request_id(call(model), "acompletion") is None


def test_a_call_without_an_id_stays_as_it_is() -> None:
    assert with_request_id(call(litellm_call_id=None), "acompletion") is None


def test_a_client_cannot_give_another_id() -> None:
    asked = with_request_id(call(extra_headers={"x-request-id": "mine", "X-Other": "1"}), "acompletion")
    assert asked is not None
    assert asked["extra_headers"] == {"X-Other": "1", "X-Request-ID": ID}


def test_what_a_client_wrote_instead_of_headers_is_left_out() -> None:
    assert with_request_id(call(extra_headers="x"), "acompletion") == call(extra_headers={"X-Request-ID": ID})
