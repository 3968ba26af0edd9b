"""People get a sentence, without an address, a class or another route's name, and the verifier still knows its kind."""

from __future__ import annotations

import pytest

from roles.litellm.requests.plain import plain
from roles.verify.probe.api import error_code
from roles.verify.verdict.codes import Code


@pytest.mark.parametrize(
    ("error", "kind", "said", "code"),
    [
        pytest.param(
            "litellm.InternalServerError: InternalServerError: Hosted_vllmException - Cannot connect to host "
            "REDACTED:14482 ssl:<ssl.SSLContext object at 0x7f>",
            "InternalServerError",
            'The server of "m" cannot be reached.',
            "backend-unreachable",
            id="unreachable",
        ),
        pytest.param(
            "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.",
            "InternalServerError",
            'The server of "m" cannot be reached.',
            "backend-unreachable",
            id="openai",
        ),
        pytest.param(
            "litellm.Timeout: APITimeoutError - Request timed out. Error_str: Request timed out.",
            "Timeout",
            'The server of "m" did not answer in time.',
            "backend-timeout",
            id="timeout",
        ),
        pytest.param(
            "No deployments available for selected model, Try again in 30 seconds. Passed model=m. "
            "pre-call-checks=False, cooldown_list=['m@tiny']",
            "RouterRateLimitError",
            'No server of "m" is ready: each has failed just now. Try again in some seconds.',
            None,
            id="cooling",
        ),
        pytest.param(
            'litellm.ContextWindowExceededError: litellm.BadRequestError: The request is too long for "m", which takes '
            "512 tokens.\nReceived Model Group=m\nAvailable Model Group Fallbacks=['secret']",
            "ContextWindowExceededError",
            'The request is too long for "m", which takes 512 tokens.',
            None,
            id="too long",
        ),
        pytest.param(
            "litellm.APIConnectionError: Ollama_chatException - no key 'message' of http://127.0.0.1:11434/api/chat",
            "APIConnectionError",
            "no key 'message' of its server",
            None,
            id="an address",
        ),
        pytest.param(
            "litellm.RateLimitError: Model rate limit exceeded. RPM limit=12, current usage=17",
            "RateLimitError",
            "Model rate limit exceeded. RPM limit=12, current usage=17",
            "over-limit",
            id="a limit",
        ),
        pytest.param(
            'litellm.BadRequestError: Hosted_vllmException - {"error":{"message":"n must be 1, got 2.","code":400}}',
            "BadRequestError",
            "n must be 1, got 2.",
            None,
            id="JSON inside",
        ),
        pytest.param(
            "litellm.BadRequestError: OpenAIException - Error code: 400 - {'error': {'code': 400, 'message': "
            "'request (80001 tokens) exceeds the available context size'}}",
            "BadRequestError",
            "request (80001 tokens) exceeds the available context size",
            None,
            id="Python inside",
        ),
        pytest.param("", "ValueError", 'The server of "m" failed.', None, id="nothing"),
    ],
)
def test_an_error_is_a_sentence_that_keeps_its_kind(error: str, kind: str, said: str, code: Code | None) -> None:
    assert plain("m", error, kind) == said
    assert error_code(said) == code
