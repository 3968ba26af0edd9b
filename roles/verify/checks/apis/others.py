"""What client programs ask besides chats: OpenAI's responses, Anthropic's messages, completions, vectors, reranking."""

from __future__ import annotations

from roles.contract.abilities import Abilities
from roles.verify.checks.apis.chats import TOOL_PROMPT, last_word, require_calls, require_stopped, require_usage
from roles.verify.checks.apis.question import (
    Ask,
    Question,
    body_of,
    few_tokens,
    judged,
    some,
    unlike_others,
)
from roles.verify.checks.samples import PARAMETERS, TOOL, TOOL_PURPOSE
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.probe.api import Reply
from roles.verify.probe.forms import (
    chat_chunks,
    choices,
    message_tool_calls,
    message_words,
    ranked,
    response_tool_calls,
    response_words,
    streamed_message_words,
    streamed_response_words,
    vector_size,
    vectors,
)
from roles.verify.verdict.claim import CheckFailed

_RESPONSES = "/v1/responses"
_COMPLETIONS = "/v1/completions"
_MESSAGES = "/v1/messages"
_TEXTS = 2


def response_questions(abilities: Abilities) -> list[Question]:
    """Those by OpenAI's responses, of a chat route with these abilities."""
    questions = [
        Question("responses", "answers by /v1/responses", "words", _response),
        Question("responses-stream", "streams by /v1/responses", "words", _streamed_response),
    ]
    if abilities.tools:
        claim = "calls a tool by /v1/responses"
        questions.append(Question("responses-tool", claim, f"a call of {TOOL}", _response_tool))
    return questions


def message_questions(abilities: Abilities) -> list[Question]:
    """Those by Anthropic's messages, of a chat route with these abilities."""
    questions = [
        Question("messages", "answers by /v1/messages", "words", _message),
        Question("messages-stream", "streams by /v1/messages", "words", _streamed_message),
        Question("messages-count", "counts a prompt's tokens by /v1/messages", "a number above 0", _counted),
    ]
    if abilities.tools:
        claim = "calls a tool by /v1/messages"
        questions.append(Question("messages-tool", claim, f"a call of {TOOL}", _message_tool))
    return questions


def completion_questions(abilities: Abilities) -> list[Question]:
    """Those of a completion route with these abilities."""
    questions = [
        Question("stream", "streams a completion", "words", _streamed_completion),
        Question("usage", "ends a stream with its usage", "tokens in the last chunk", _completion_usage),
        Question("stop", "stops before the words that a request says", "an answer without them", _stopped_completion),
    ]
    if abilities.logprobs:
        claim = "says how likely its words are"
        questions.append(Question("logprobs", claim, "a logarithm for each token", _completion_logprobs))
    return questions


def embedding_questions() -> list[Question]:
    """Those of an embedding route."""
    return [
        Question("list", "embeds several texts at once", f"{_TEXTS} vectors of one size", _several_vectors),
        Question("base64", "embeds a text as base64", "a vector", _base64_vector),
    ]


def rerank_questions() -> list[Question]:
    """Those of a reranking route."""
    return [
        Question("rerank", "gives the best document alone", "one document", _best_by("/v1/rerank")),
        Question("rerank-v2", "gives the best document alone, by /v2", "one document", _best_by("/v2/rerank")),
    ]


def _response_body(route: Route, prompt: str, most: int, **more: object) -> dict[str, object]:
    return {"model": route.name, "input": unlike_others(prompt), "max_output_tokens": most, **more}


async def _response(route: Route, context: VerificationContext) -> str:
    body = _response_body(route, route.probe.prompt, few_tokens(route))
    reply = await context.api.post(_RESPONSES, body, route.probe.timeout)
    return judged(reply, route, lambda: some(response_words(reply)))


async def _streamed_response(route: Route, context: VerificationContext) -> str:
    body = _response_body(route, route.probe.prompt, few_tokens(route))
    reply = await context.api.stream(_RESPONSES, body, route.probe.timeout)
    return judged(reply, route, lambda: some(streamed_response_words(reply)))


async def _response_tool(route: Route, context: VerificationContext) -> str:
    tool = {"type": "function", "name": TOOL, "description": TOOL_PURPOSE, "parameters": PARAMETERS}
    body = _response_body(route, TOOL_PROMPT, route.probe.max_tokens, tools=[tool], tool_choice="required")
    reply = await context.api.post(_RESPONSES, body, route.probe.timeout)
    return judged(reply, route, lambda: require_calls(response_tool_calls(reply), TOOL))


def _message_body(route: Route, prompt: str, most: int, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": unlike_others(prompt)}]
    return {"model": route.name, "messages": messages, "max_tokens": most, **more}


async def _message(route: Route, context: VerificationContext) -> str:
    body = _message_body(route, route.probe.prompt, few_tokens(route))
    reply = await context.anthropic_api.post(_MESSAGES, body, route.probe.timeout)
    return judged(reply, route, lambda: some(message_words(reply)))


async def _streamed_message(route: Route, context: VerificationContext) -> str:
    body = _message_body(route, route.probe.prompt, few_tokens(route))
    reply = await context.anthropic_api.stream(_MESSAGES, body, route.probe.timeout)
    return judged(reply, route, lambda: some(streamed_message_words(reply)))


async def _message_tool(route: Route, context: VerificationContext) -> str:
    tool = {"name": TOOL, "description": TOOL_PURPOSE, "input_schema": PARAMETERS}
    more = {"tools": [tool], "tool_choice": {"type": "any"}}
    body = _message_body(route, TOOL_PROMPT, route.probe.max_tokens, **more)
    reply = await context.anthropic_api.post(_MESSAGES, body, route.probe.timeout)
    return judged(reply, route, lambda: require_calls(message_tool_calls(reply), TOOL))


async def _counted(route: Route, context: VerificationContext) -> str:
    """The gateway may count by itself: its answer names no backend."""
    messages = [{"role": "user", "content": route.probe.prompt}]
    body = {"model": route.name, "messages": messages}
    reply = await context.anthropic_api.post(f"{_MESSAGES}/count_tokens", body, route.probe.timeout)
    content = reply.json()
    count = content.get("input_tokens") if isinstance(content, dict) else None
    if not isinstance(count, int) or count < 1:
        raise CheckFailed("malformed-answer", f"no `input_tokens`: {reply.brief}")
    return f"{count} tokens"


async def _streamed_completion(route: Route, context: VerificationContext) -> str:
    reply = await context.api.stream(_COMPLETIONS, body_of(route), route.probe.timeout)

    def read() -> str:
        firsts = [chunk["choices"][0] for chunk in chat_chunks(reply) if chunk.get("choices")]
        return some("".join(str(first.get("text") or "") for first in firsts))

    return judged(reply, route, read)


async def _completion_usage(route: Route, context: VerificationContext) -> str:
    body = body_of(route, max_tokens=few_tokens(route), stream_options={"include_usage": True})
    reply = await context.api.stream(_COMPLETIONS, body, route.probe.timeout)
    return judged(reply, route, lambda: require_usage(chat_chunks(reply)))


async def _stopped_completion(route: Route, context: VerificationContext) -> str:
    body = body_of(route, max_tokens=few_tokens(route))
    first = await context.api.post(_COMPLETIONS, body, route.probe.timeout)
    stop = last_word(judged(first, route, lambda: _text(first)))
    second = await context.api.post(_COMPLETIONS, {**body, "stop": [stop]}, route.probe.timeout)
    return judged(second, route, lambda: require_stopped(_text(second), stop))


def _text(reply: Reply) -> str:
    return str(choices(reply)[0].get("text") or "")


async def _completion_logprobs(route: Route, context: VerificationContext) -> str:
    body = body_of(route, max_tokens=few_tokens(route), logprobs=1)
    reply = await context.api.post(_COMPLETIONS, body, route.probe.timeout)

    def read() -> str:
        if not choices(reply)[0].get("logprobs"):
            raise CheckFailed("parameter-ignored", f"no `logprobs`: {reply.brief}")
        return "likelihoods"

    return judged(reply, route, read)


async def _several_vectors(route: Route, context: VerificationContext) -> str:
    texts = [unlike_others(route.probe.prompt) for _ in range(_TEXTS)]
    reply = await context.api.post("/v1/embeddings", body_of(route, input=texts), route.probe.timeout)

    def read() -> str:
        sizes = [vector_size(vector) for vector in vectors(reply)]
        if len(sizes) != _TEXTS or len(set(sizes)) != 1:
            raise CheckFailed("malformed-answer", f"vectors of {sizes} numbers for {_TEXTS} texts")
        return _sized(sizes[0])

    return judged(reply, route, read)


async def _base64_vector(route: Route, context: VerificationContext) -> str:
    """Numbers are right too: OpenAI's client library asks for base64, and reads either."""
    body = body_of(route, encoding_format="base64")
    reply = await context.api.post("/v1/embeddings", body, route.probe.timeout)

    def read() -> str:
        (vector, *_) = vectors(reply) or [""]
        return _sized(vector_size(vector)) + ("" if isinstance(vector, str) else ", not as base64")

    return judged(reply, route, read)


def _sized(size: int) -> str:
    if not size:
        raise CheckFailed("empty-answer", "an empty vector")
    return f"{size} numbers"


def _best_by(path: str) -> Ask:
    async def ask(route: Route, context: VerificationContext) -> str:
        reply = await context.api.post(path, body_of(route, top_n=1), route.probe.timeout)

        def read() -> str:
            order = ranked(reply)
            if len(order) != 1:
                raise CheckFailed("parameter-ignored", f"{len(order)} documents for `top_n` = 1")
            if not 0 <= order[0] < len(route.probe.documents):
                raise CheckFailed("malformed-answer", f"document {order[0]} of {len(route.probe.documents)}")
            return f"document {order[0]}"

        return judged(reply, route, read)

    return ask
