"""Checks of the routes: every public name answers, and the answer comes from the backend that it should."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import httpx

from roles.verify.answers import Answer, best_document, chat_answer, completion_answer, embedding_size, streamed_answer
from roles.verify.api import Api
from roles.verify.cooldown import outlast_cooldown
from roles.verify.generation import Deployment, Probe, Route
from roles.verify.proof import CannotCheck, Claim, Refuted, Resting
from roles.verify.quoting import quoted
from roles.verify.verdict import Check

_SHOWN_WORDS = 60
"""Characters of a good answer that a report shows: enough to see that it is one."""


def route_checks(route: Route, api: Api | CannotCheck, cooldown: float) -> list[Coroutine[Any, Any, Check]]:
    """The checks of one route, by its name and by each alias, to be awaited.

    Args:
        api: the gateway as seen with the right key, or why that can not be had.
        cooldown: seconds for which the gateway passes over a deployment after a failure.
    """
    return [check for name in route.names for check in _name_checks(route, name, api, cooldown)]


def _name_checks(route: Route, name: str, api: Api | CannotCheck, cooldown: float) -> list[Coroutine[Any, Any, Check]]:
    origin = " or ".join(deployment.id for deployment in route.deployments)
    wanted = f" with {quoted(route.probe.expects)}" if route.probe.expects else ""

    def claim(kind: str, text: str, what: str = f"words{wanted}") -> Claim:
        return Claim(f"route/{name}/{kind}", name, text, f"{what} from {origin}")

    def asked(ask: _Ask) -> Awaitable[str]:
        return outlast_cooldown(lambda: ask(route, name, api), lambda: _backend_is_well(ask, route, api), cooldown)

    if route.mode == "chat":
        return [
            claim("chat", "answers a chat").prove(asked(_chat)),
            claim("stream", "streams a chat").prove(asked(_streamed_chat)),
        ]
    if route.mode == "completion":
        return [claim("completion", "completes a text").prove(asked(_completion))]
    if route.mode == "rerank":
        return [claim("rerank", "puts the best document first", f"a document{wanted}").prove(asked(_reranking))]
    return [claim("embedding", "embeds a text", "a vector").prove(asked(_embedding))]


def deployment_check(route: Route, deployment: Deployment, api: Api | CannotCheck) -> Coroutine[Any, Any, Check]:
    """The check that one deployment answers, asked by its id: past cool-downs, without fallbacks."""
    ask = {"chat": _chat, "completion": _completion, "embedding": _embedding, "rerank": _reranking}[route.mode]
    alone = replace(route, deployments=(deployment,))
    what = f"words with {quoted(route.probe.expects)}" if route.probe.expects else "an answer"
    claim = Claim(f"route/{deployment.id}/staged", deployment.id, "answers", f"{what} from {deployment.id}")
    return claim.prove(ask(alone, deployment.id, api))


_Ask = Callable[[Route, str, "Api | CannotCheck"], Awaitable[str]]


async def _backend_is_well(ask: _Ask, route: Route, api: Api | CannotCheck) -> bool:
    """Whether a deployment of the route answers when it is asked by its id: past cool-downs, without fallbacks."""
    for deployment in route.deployments:
        try:
            await ask(route, deployment.id, api)
        except Refuted:
            continue
        return True
    return False


async def _chat(route: Route, name: str, api: Api | CannotCheck) -> str:
    reply = await _given(api).post("/v1/chat/completions", _chat_body(route.probe, name), route.probe.timeout)
    answer = chat_answer(reply)
    return _concluded(_shown(answer), _word_problems(answer, route.probe), _origin_problems(reply.headers, route))


async def _streamed_chat(route: Route, name: str, api: Api | CannotCheck) -> str:
    reply = await _given(api).stream("/v1/chat/completions", _chat_body(route.probe, name), route.probe.timeout)
    answer, problems = streamed_answer(reply)
    if not problems:
        # Of a stream that was cut, missing words are a consequence.
        problems = _word_problems(answer, route.probe)
    return _concluded(_shown(answer), problems, _origin_problems(reply.headers, route))


async def _completion(route: Route, name: str, api: Api | CannotCheck) -> str:
    probe = route.probe
    body = {**_body(name), "prompt": probe.prompt, "temperature": 0, "max_tokens": probe.max_tokens}
    reply = await _given(api).post("/v1/completions", body, probe.timeout)
    answer = completion_answer(reply)
    return _concluded(_shown(answer), _word_problems(answer, probe), _origin_problems(reply.headers, route))


async def _embedding(route: Route, name: str, api: Api | CannotCheck) -> str:
    body = {**_body(name), "input": route.probe.prompt}
    reply = await _given(api).post("/v1/embeddings", body, route.probe.timeout)
    size = embedding_size(reply)
    problems = [] if size else ["an empty vector"]
    return _concluded(f"{size} numbers", problems, _origin_problems(reply.headers, route))


async def _reranking(route: Route, name: str, api: Api | CannotCheck) -> str:
    documents = route.probe.documents
    body = {**_body(name), "query": route.probe.prompt, "documents": documents}
    reply = await _given(api).post("/v1/rerank", body, route.probe.timeout)
    best = best_document(reply)
    if not 0 <= best < len(documents):
        raise Refuted(f"document {best} of {len(documents)}")
    answer = Answer(documents[best])
    return _concluded(_shown(answer), _word_problems(answer, route.probe), _origin_problems(reply.headers, route))


def _given(api: Api | CannotCheck) -> Api:
    if isinstance(api, CannotCheck):
        raise api
    return api


def _body(name: str) -> dict[str, object]:
    # A cached answer proves no backend.
    return {"model": name, "cache": {"no-cache": True}}


def _chat_body(probe: Probe, name: str) -> dict[str, object]:
    messages = [{"role": "user", "content": probe.prompt}]
    return {**_body(name), "messages": messages, "temperature": 0, "max_tokens": probe.max_tokens}


def _concluded(seen: str, problems: Sequence[str], origin_problems: Sequence[str]) -> str:
    if origin_problems:
        raise Resting("; ".join([*problems, *origin_problems]))
    if problems:
        raise Refuted("; ".join(problems))
    return seen


def _shown(answer: Answer) -> str:
    return quoted(answer.words, _SHOWN_WORDS)


def _word_problems(answer: Answer, probe: Probe) -> list[str]:
    if not answer.words.strip():
        if answer.thinking.strip():
            return [
                f"no words, only thinking {quoted(answer.thinking, _SHOWN_WORDS)}: "
                f"raise the probe's max_tokens ({probe.max_tokens}) so that it gets to its answer"
            ]
        return ["no words"]
    if probe.expects and probe.expects.casefold() not in answer.words.casefold():
        return [f"{quoted(answer.words)} holds no {quoted(probe.expects)}"]
    return []


def _origin_problems(headers: httpx.Headers, route: Route) -> list[str]:
    """By its headers LiteLLM tells who answered: also when it asked a fallback and says nothing in the body."""
    problems = []
    bases = {deployment.id: deployment.api_base for deployment in route.deployments}
    origin = headers.get("x-litellm-model-id")
    base = headers.get("x-litellm-model-api-base", "")
    fallbacks = headers.get("x-litellm-attempted-fallbacks", "0")
    if origin is None:
        problems.append("no x-litellm-model-id in the answer's headers")
    elif origin not in bases:
        problems.append(f"answered by {quoted(origin)} at {base or 'no named address'}")
    elif base.rstrip("/") != bases[origin].rstrip("/"):
        problems.append(f"{origin} answered at {base or 'no named address'}, not {bases[origin]}")
    if fallbacks != "0":
        problems.append(f"attempted fallbacks: {fallbacks}")
    return problems
