"""The modes of a route: what it can be asked for, declared once. Options, plan, gateway and verifier read this."""

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
        body: what a request says besides its model, from a prompt and documents.
        prefix: LiteLLM's provider prefix for an OpenAI-compatible server.
        claim: what a route of this mode does, in reports.
        answer: what a good answer is, likewise.
        generates: the answer is text that the model makes up: it has a `max_tokens`, and a temperature.
        calls_tools: it can be promised to call tools and to answer by a JSON schema.
        prompt: what the verifier asks unless the inventory says otherwise.
        documents: what is to be put in order, in any order but the right one; empty = this mode takes none.
        expects: words that must be in the answer to that; none = any words will do.
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
        # `openai/` has no reranking; `hosted_vllm/` asks for `/v1/rerank`, whosever it is.
        prefix="hosted_vllm",
        claim="puts the best document first",
        answer="a document",
        prompt="What is the capital of France?",
        # A reranker that does nothing leaves the best at the end.
        documents=(
            "Bread is made of flour, water and salt.",
            "The sea is blue.",
            "The capital of France is Paris.",
        ),
        expects="Paris",
    ),
}
