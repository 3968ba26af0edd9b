"""The modes of a route: the kinds of requests, declared once. Options, plan, gateway and verifier use this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["chat", "completion", "embedding", "rerank"]

PROMPT = "Who are you? Answer in one short sentence."


@dataclass(frozen=True)
class ModeTraits:
    """One mode.

    Attributes:
        path: where a request of this mode goes, below `/v1`.
        body: the request without its model, from a prompt and documents.
        prefix: LiteLLM's provider prefix for an OpenAI-compatible server.
        claim: what a route of this mode does, in reports.
        answer: what a good answer is, likewise.
        generates: the answer is generated text: requests have a `max_tokens` and a temperature.
        calls_tools: a route may declare that it calls tools and answers by a JSON schema.
        prompt: the verifier's question unless the inventory gives one.
        documents: what to sort, in any order but the right one; empty = this mode takes none.
        expects: words that the answer to that must contain; none = any words will do.
    """

    path: str
    body: Callable[[str, Sequence[str]], dict[str, object]]
    prefix: str
    claim: str
    answer: str
    generates: bool = False
    calls_tools: bool = False
    prompt: str = PROMPT
    documents: tuple[str, ...] = ()
    expects: str | None = None


MODES: Mapping[Mode, ModeTraits] = {
    "chat": ModeTraits(
        path="/chat/completions",
        body=lambda prompt, _: {"messages": [{"role": "user", "content": prompt}]},
        prefix="openai",
        claim="answers a chat",
        answer="words",
        generates=True,
        calls_tools=True,
    ),
    "completion": ModeTraits(
        path="/completions",
        body=lambda prompt, _: {"prompt": prompt},
        prefix="openai",
        claim="completes a text",
        answer="words",
        generates=True,
    ),
    "embedding": ModeTraits(
        path="/embeddings",
        body=lambda prompt, _: {"input": prompt},
        prefix="openai",
        claim="embeds a text",
        answer="a vector",
    ),
    "rerank": ModeTraits(
        path="/rerank",
        body=lambda prompt, documents: {"query": prompt, "documents": list(documents)},
        # `openai/` has no reranking; `hosted_vllm/` requests `/v1/rerank`, for any server.
        prefix="hosted_vllm",
        claim="puts the best document first",
        answer="a document",
        prompt="What is the capital of France?",
        # A reranker that does nothing leaves the best one last.
        documents=(
            "Bread is made of flour, water and salt.",
            "The sea is blue.",
            "The capital of France is Paris.",
        ),
        expects="Paris",
    ),
}
