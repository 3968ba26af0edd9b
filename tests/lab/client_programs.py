"""What the client programs of `docs/clients.md` can do with each of the servers of `clients_stack.py`, and cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.clients.endpoint import Endpoint
from tests.lab.deploys import deploy
from tests.labhost import LabHost
from tests.labhost.files import MODELS, VLLM_SAYS
from tests.labhost.paths import REPOSITORY

INVENTORY = REPOSITORY / "tests/lab/clients_stack.py"

SAY = {
    "tiny-ollama:latest": MODELS["ollama.gguf"],
    "tiny-vllm": VLLM_SAYS,
    "tiny-python": MODELS["python.gguf"],
    "tiny-native": MODELS["native.gguf"],
    "tiny-agents": MODELS["agents.gguf"],
    "tiny-tools": MODELS["tools.gguf"],
}
ENGINES = ("tiny-ollama:latest", "tiny-vllm", "tiny-python", "tiny-native")

NO_TOOLS = '400 "{model}" calls no tools.'
NO_PICTURES = '400 "{model}" takes no images.'
NO_SCHEMA = '"{model}" cannot answer by a JSON schema.'
CALL = "call report_weather"
EXCEPTIONS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "openai-python": {
        "models": {"*": "listed"},
        "tools": {"tiny-tools": CALL},
        "tools streamed": {"tiny-tools": CALL},
        "tool forced": {
            "tiny-ollama:latest": NO_TOOLS,
            "tiny-vllm": NO_TOOLS,
            "tiny-python": NO_TOOLS,
            "tiny-tools": CALL,
        },
        "parse": {"tiny-python": f"400 {NO_SCHEMA}", "*": "Paris"},
        # llama-server's events lack fields that the library's helper reads; without it, streams work.
        "responses.stream": {
            "tiny-native": "TypeError: list indices must be integers or slices, not NoneType",
            "tiny-tools": "TypeError: list indices must be integers or slices, not NoneType",
        },
        "responses with tools": {"tiny-tools": CALL},
        "picture": {"*": NO_PICTURES},
        "embedding": {"*": '400 "{model}" answers a chat: send its requests to /v1/chat/completions.'},
    },
    "openai-js": {"tools": {"tiny-tools": CALL}},
    "anthropic-python": {
        "tools": {"tiny-tools": CALL},
        "tools streamed": {"tiny-tools": CALL},
        "count_tokens": {"*": "some"},
        "picture": {"*": NO_PICTURES},
    },
    "langchain": {
        "tools": {"tiny-tools": CALL},
        "structured": {"tiny-python": f"OpenAIInvalidRequestError: Error code: 400 - {NO_SCHEMA}", "*": "Place"},
    },
    "llama-index": {
        "class OpenAI": {"*": "ValueError: Unknown model '{model}'. Please provide a valid OpenAI model name…"},
        "class OpenAI, gpt-4o": {"*": VLLM_SAYS},
    },
}
"""Library → what it was asked → route, or `*` for all others → what the person gets, with `…` for more of it.

All that is not here is answered by the model's sentence.
"""


_TOO_LONG = {
    "tiny-ollama:latest": "which takes 2048 tokens",
    "tiny-vllm": "maximum context length is 512 tokens",
    "tiny-python": "The request is too long for",
    "tiny-native": "exceeds the available context size (2048 tokens)",
}
_NO_ANSWER = "The server gave no answer: the request may be too long for it."
TOLD: Mapping[str, Mapping[str, str]] = {
    "codex": _TOO_LONG,
    "claude-code": {**_TOO_LONG, "tiny-vllm": "Please reduce the length of the input prompt"},
    # The tiny models read each letter as a token, which makes its prompt four times as long as LiteLLM takes it for.
    "aider": {
        "tiny-vllm": SAY["tiny-ollama:latest"],
        "tiny-python": _NO_ANSWER,
        "tiny-native": _NO_ANSWER,
    },
    # It sums up and tries again, with llama-server without end; with vLLM, Ollama then answers or it goes on so. Where
    # there was no answer, it prints nothing.
    "opencode": {**_TOO_LONG, "tiny-vllm": "> build", "tiny-python": "> build"},
    "continue": {"tiny-vllm": SAY["tiny-ollama:latest"]},
}
"""Program → route → what it tells a person whose prompt is too long for that model. Where the sentence is Ollama's, its
route takes more than vLLM's."""
KEY = "sk-programs-0123456789abcdef"


def deploy_for_programs(host: LabHost) -> Endpoint:
    """Deploy the stack for them; return its endpoint as other machines reach it, and the programs' own key."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LAB_PROGRAMS_KEY", KEY)
        deploy(host, inventory=INVENTORY).must_pass()
    return Endpoint(f"{host.address}:4000", KEY)


def surprises(library: str, model: str, found: Mapping[str, str]) -> str:
    """What did not come out as it should, as JSON; empty if nothing did."""
    wrong = {}
    for asked, said in found.items():
        exceptions = EXCEPTIONS[library].get(asked, {})
        expected = exceptions.get(model, exceptions.get("*", SAY[model])).replace("{model}", model)
        matches = said.startswith(expected[:-1]) if expected.endswith("…") else said == expected
        if not matches:
            wrong[asked] = {"expected": expected, "said": said}
    return json.dumps(wrong, indent=1) if wrong else ""
