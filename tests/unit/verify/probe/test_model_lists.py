"""Each kind of cloud is asked for its models in its own way, and what it says to that is understood."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from roles.contract.manifest import Listing
from roles.verify.generation import External
from roles.verify.probe.model_lists import ask_for_models
from roles.verify.verdict.claim import CheckFailed

KEY = "k-0123456789abcdef"
OPENAI = {"data": [{"id": "small"}, {"id": "large"}]}
GEMINI = {"models": [{"name": "models/small"}]}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "cloud.env"
    file.write_text(f"KEY={KEY}\n")
    return file


def seen(key_file: Path, listing: Listing, answer: httpx.Response) -> tuple[httpx.Request, str]:
    """The request for the list, and what is said of the answer."""
    requests: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer

    external = External(
        "cloud", "any", "https://cloud.example.com/base", ("small",), True, key_file, "KEY", listing, "2025-02-01"
    )

    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as client:
            return await ask_for_models(external, client)

    said = asyncio.run(ask())
    return requests[0], said


@pytest.mark.parametrize(
    ("listing", "address", "header", "answer", "said"),
    [
        ("openai", "/base/models", ("Authorization", f"Bearer {KEY}"), OPENAI, "2 models"),
        ("anthropic", "/base/v1/models?limit=1000", ("x-api-key", KEY), OPENAI, "2 models"),
        ("gemini", "/base/models?pageSize=1000", ("x-goog-api-key", KEY), GEMINI, "1 models"),
        ("azure", "/base/openai/models?api-version=2025-02-01", ("api-key", KEY), {"data": []}, "0 models"),
        ("ollama", "/base/v1/models", ("Authorization", f"Bearer {KEY}"), OPENAI, "2 models"),
    ],
    ids=["openai", "anthropic", "gemini", "azure", "ollama"],
)
def test_each_is_asked_as_it_wants_to_be(
    key_file: Path, listing: Listing, address: str, header: tuple[str, str], answer: Any, said: str
) -> None:
    request, words = seen(key_file, listing, httpx.Response(200, json=answer))
    assert str(request.url) == f"https://cloud.example.com{address}"
    assert request.headers[header[0]] == header[1]
    assert words == said


def test_one_that_has_no_list_is_reached_and_gets_no_key(key_file: Path) -> None:
    request, words = seen(key_file, "none", httpx.Response(403))
    assert KEY not in str(request.headers)
    assert words == "it answers, and is not asked for a list of its models (403)"


@pytest.mark.parametrize(
    ("listing", "answer", "code", "words"),
    [
        ("openai", httpx.Response(401), "external-key-refused", "answers 401"),
        ("gemini", httpx.Response(400, text='{"reason": "API_KEY_INVALID"}'), "external-key-refused", "answers 400"),
        ("gemini", httpx.Response(400, text="{}"), "external-refuses", "answers 400"),
        ("openai", httpx.Response(429, headers={"Retry-After": "7"}), "external-limited", 'again after "7" s'),
        ("openai", httpx.Response(529), "external-refuses", "answers 529"),
    ],
    ids=["a key", "a key of Gemini", "a request", "too many", "any"],
)
def test_what_it_refuses_has_its_own_code(
    key_file: Path, listing: Listing, answer: httpx.Response, code: str, words: str
) -> None:
    with pytest.raises(CheckFailed) as refused:
        seen(key_file, listing, answer)
    assert refused.value.code == code
    assert words in str(refused.value)
