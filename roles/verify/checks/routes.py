"""Checks of the routes: every public name does what it is declared to do, and the right backend answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from roles.contract.modes import MODES
from roles.contract.verdict import Check
from roles.verify.checks.cooldown import outlast_cooldown
from roles.verify.checks.judging import SHOWN_WORDS, concluded, origin_problems, shown
from roles.verify.checks.samples import CITY, SCHEMA, STRUCTURED, TOOL, TOOLS
from roles.verify.context import VerificationContext
from roles.verify.generation import Deployment, Mode, Probe, Route
from roles.verify.probe.answers import (
    Answer,
    best_document,
    chat_answer,
    completion_answer,
    embedding_size,
    streamed_answer,
    tool_call,
)
from roles.verify.probe.api import Reply
from roles.verify.probe.examples import example_request
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim, CoolingDown, Problem
from roles.verify.verdict.quoting import quoted

_ASKED_AT_ONCE = 4
_FALSE_ALARM = 1e-9
"""Highest probability that a route that shares its requests correctly is reported as one that does not."""


def route_checks(route: Route, context: VerificationContext) -> list[Coroutine[Any, Any, Check]]:
    """The checks of one route, by its name and by each alias, to be awaited. Those that may cost money are made with
    the checks of the providers that others run."""
    names = () if route.is_metered else route.names
    checks = [check for name in names for check in _name_checks(route, name, context)]
    if len(route.deployments) > 1:
        # Otherwise the others may hide one that never answers.
        checks += [deployment_check(route, each, context, "alone") for each in route.deployments if not each.metered]
    return checks


def _name_checks(route: Route, name: str, context: VerificationContext) -> list[Coroutine[Any, Any, Check]]:
    origin = " or ".join(deployment.id for deployment in route.deployments)
    wanted = f" with {quoted(route.probe.expects)}" if route.probe.expects else ""

    def check(kind: str, text: str, ask: _Ask, what: str = f"words{wanted}") -> Coroutine[Any, Any, Check]:
        claim = Claim(f"route/{name}/{kind}", name, text, f"{what} from {origin}")
        return claim.check(
            outlast_cooldown(
                lambda: ask(route, name, context), lambda: backend_is_well(ask, route, context), context.cooldown
            )
        )

    mode = MODES[route.mode]
    has_words = mode.generates or mode.documents
    checks = [check(route.mode, mode.claim, ask_plainly, f"{mode.answer}{wanted if has_words else ''}")]
    if route.mode == "chat":
        checks.append(check("stream", "streams a chat", _streamed_chat))
    if route.tools:
        checks.append(check("tools", "calls a tool", _tool_call, f"a call of {TOOL}"))
    if route.structured_outputs:
        checks.append(check("schema", "answers by a JSON schema", _structured_chat, "JSON of that schema"))
    return checks


def deployment_check(
    route: Route, deployment: Deployment, context: VerificationContext, kind: str
) -> Coroutine[Any, Any, Check]:
    """The check that one deployment answers, asked by its id: this bypasses cooldowns and fallbacks.

    Args:
        kind: the end of the check's id.
    """
    alone = replace(route, deployments=(deployment,))
    what = f"words with {quoted(route.probe.expects)}" if route.probe.expects else "an answer"
    claim = Claim(f"route/{deployment.id}/{kind}", deployment.id, "answers", f"{what} from {deployment.id}")
    return claim.check(ask_plainly(alone, deployment.id, context))


async def balance_check(route: Route, context: VerificationContext, others: Sequence[asyncio.Task[Check]]) -> Check:
    """The check that each deployment that shares a route's requests gets some, asked by the route's name.

    Args:
        others: the other checks of routes, which are waited for: many short requests would slow down their answers, and
            a deployment that does not answer by its id gets no share either.
    """
    if others:
        await asyncio.wait(others)
    answering = {task.result().subject for task in others if task.result().ok}
    dead = [each.id for each in route.sharers if each.id not in answering]
    names = ", ".join(each.id for each in route.sharers)
    claim = Claim(f"route/{route.name}/balance", route.name, "shares out its requests", f"answers from each of {names}")
    if dead:
        silent = CannotCheck(f"{', '.join(dead)} does not answer: see its own check", code="deployment-silent")
        return await claim.check(_raise(silent))

    async def all_are_well() -> bool:
        return True

    return await claim.check(outlast_cooldown(lambda: _shared_out(route, context), all_are_well, context.cooldown))


async def _raise(reason: CannotCheck) -> str:
    raise reason


def fallback_check(
    id: str,
    subject: str,
    name: str,
    target: Route,
    context: VerificationContext,
    *,
    fallbacks: int = 1,
    **more: object,
) -> Coroutine[Any, Any, Check]:
    """The check that a request goes on to a fallback.

    Args:
        name: the requested name, of a route whose deployments fail.
        target: the route that must answer.
        fallbacks: how many of them the gateway must try.
        more: further fields of the request.
    """
    ids = " or ".join(deployment.id for deployment in target.deployments)
    claim = Claim(id, subject, f"falls back to {target.name}", f"an answer from {ids}, fallbacks: {fallbacks}")
    return claim.check(
        outlast_cooldown(
            lambda: ask_plainly(target, name, context, fallbacks=fallbacks, **more),
            lambda: backend_is_well(ask_plainly, target, context),
            context.cooldown,
        )
    )


async def warm_up(context: VerificationContext, times: int) -> None:
    """Sends this many requests and accepts any answer: the first ones to a gateway take seconds."""
    free = [(route, each) for route in context.generation.routes for each in route.deployments if not each.metered]
    for route, deployment in free[:1] * times:
        with contextlib.suppress(CheckFailed, CannotCheck):
            await ask_plainly(route, deployment.id, context)


async def _shared_out(route: Route, context: VerificationContext) -> str:
    """Asks until each has answered, or until chance alone can hardly explain that one has not."""
    smallest = min(each.weight for each in route.sharers) / sum(each.weight for each in route.sharers)
    enough = math.ceil(math.log(_FALSE_ALARM) / math.log(1 - smallest))
    wanted, seen = {each.id for each in route.sharers}, Counter[str]()
    taken = 0.0  # the wait for the next minute of a rate limit does not count
    while seen.total() < enough and not wanted <= set(seen):
        if taken > route.probe.timeout:
            message = f"no end within {route.probe.timeout:g} s, after {seen.total()} requests"
            raise CheckFailed("answer-timeout", message)
        replies = await asyncio.gather(*(_shortest(route, context) for _ in range(_ASKED_AT_ONCE)))
        taken += max(reply.seconds for reply in replies)
        seen.update(reply.headers.get("x-litellm-model-id", "nobody that is named") for reply in replies)
    if missing := sorted(wanted - set(seen)):
        raise CoolingDown("share-missing", f"of {seen.total()} requests none went to {', '.join(missing)}")
    return ", ".join(f"{id}: {count}" for id, count in sorted(seen.items()))


async def _shortest(route: Route, context: VerificationContext) -> Reply:
    """The shortest possible answer: only who gives it matters."""
    reply = await _post(replace(route, probe=replace(route.probe, max_tokens=1)), route.name, context)
    reply.require_ok()
    return reply


_Ask = Callable[[Route, str, VerificationContext], Awaitable[str]]


async def backend_is_well(ask: _Ask, route: Route, context: VerificationContext) -> bool:
    """Whether a deployment of the route answers, asked by its id: this bypasses cooldowns and fallbacks."""
    for deployment in route.deployments:
        if deployment.metered:
            continue
        try:
            await ask(route, deployment.id, context)
        except CheckFailed:
            continue
        return True
    return False


async def ask_plainly(
    route: Route, name: str, context: VerificationContext, *, fallbacks: int = 0, **more: object
) -> str:
    """What the answer to the probe says.

    Args:
        route: the route whose probe is sent, and which must answer it.
        name: the requested name.
        fallbacks: how many the gateway must try.
        more: further fields of the request.
    """
    reply = await _post(route, name, context, **more)
    seen, problems = READERS[route.mode](reply, route.probe)
    return concluded(seen, problems, origin_problems(reply.headers, route, fallbacks))


async def ask_any(route: Route, ids: Collection[str], context: VerificationContext) -> str:
    """What the answer to the probe says, whichever of these deployments gives it."""
    reply = await _post(route, route.name, context)
    seen, problems = READERS[route.mode](reply, route.probe)
    origin = reply.headers.get("x-litellm-model-id", "nobody that is named")
    wrong = [] if origin in ids else [Problem("wrong-origin", f"answered by {quoted(origin)}")]
    return f"{concluded(seen, problems, wrong)} from {origin}"


async def _streamed_chat(route: Route, name: str, context: VerificationContext) -> str:
    path, body = probe_request(route, name)
    reply = await context.api.stream(path, body, route.probe.timeout)
    answer, problems = streamed_answer(reply)
    if not problems:
        # If a stream was cut, missing words are a consequence.
        problems = _word_problems(answer, route.probe)
    return concluded(shown(answer), problems, origin_problems(reply.headers, route))


async def _tool_call(route: Route, name: str, context: VerificationContext) -> str:
    question = f"What is the weather like in {CITY}? Ask your tool."
    reply = await _post(replace(route, probe=replace(route.probe, prompt=question)), name, context, **TOOLS)
    called, arguments = tool_call(reply)
    seen = quoted(f"{called}({json.dumps(arguments, ensure_ascii=False)})", SHOWN_WORDS)
    right = (called, arguments) == (TOOL, {"city": CITY})
    problems = [] if right else [Problem("wrong-tool-call", f"{seen} was called")]
    return concluded(seen, problems, origin_problems(reply.headers, route))


async def _structured_chat(route: Route, name: str, context: VerificationContext) -> str:
    question = f"Which city is the capital of France? Answer by this JSON schema: {json.dumps(SCHEMA)}"
    reply = await _post(replace(route, probe=replace(route.probe, prompt=question)), name, context, **STRUCTURED)
    answer = chat_answer(reply)
    try:
        wrong = "" if json.loads(answer.words) == {"capital": CITY} else "is not by the schema"
    except ValueError:
        wrong = "is no JSON"
    problems = [Problem("schema-violated", f"{shown(answer)} {wrong}")] if wrong else []
    return concluded(shown(answer), problems, origin_problems(reply.headers, route))


def _read_chat(reply: Reply, probe: Probe) -> tuple[str, list[Problem]]:
    answer = chat_answer(reply)
    return shown(answer), _word_problems(answer, probe)


def _read_completion(reply: Reply, probe: Probe) -> tuple[str, list[Problem]]:
    answer = completion_answer(reply)
    return shown(answer), _word_problems(answer, probe)


def _read_embedding(reply: Reply, probe: Probe) -> tuple[str, list[Problem]]:
    size = embedding_size(reply)
    return f"{size} numbers", [] if size else [Problem("empty-answer", "an empty vector")]


def _read_order(reply: Reply, probe: Probe) -> tuple[str, list[Problem]]:
    best = best_document(reply)
    if not 0 <= best < len(probe.documents):
        raise CheckFailed("malformed-answer", f"document {best} of {len(probe.documents)}")
    answer = Answer(probe.documents[best])
    return shown(answer), _word_problems(answer, probe)


READERS: Mapping[Mode, Callable[[Reply, Probe], tuple[str, list[Problem]]]] = {
    "chat": _read_chat,
    "completion": _read_completion,
    "embedding": _read_embedding,
    "rerank": _read_order,
}
"""What an answer says, and what is wrong with it."""


async def _post(route: Route, name: str, context: VerificationContext, **more: object) -> Reply:
    """The answer to the probe; `more` are further fields of the request."""
    path, body = probe_request(route, name)
    return await context.api.post(path, {**body, **more}, route.probe.timeout)


def probe_request(route: Route, name: str) -> tuple[str, dict[str, object]]:
    path, body = example_request(route)
    if MODES[route.mode].generates:
        body["temperature"] = 0
    # A cached answer does not show that a backend works.
    return f"/v1{path}", {**body, "model": name, "cache": {"no-cache": True}}


def _word_problems(answer: Answer, probe: Probe) -> list[Problem]:
    if not answer.words.strip():
        if answer.thinking.strip():
            message = (
                f"no words, only thinking {quoted(answer.thinking, SHOWN_WORDS)}: "
                f"raise the probe's max_tokens ({probe.max_tokens}) so that it gets to its answer"
            )
            return [Problem("only-thinking", message)]
        return [Problem("empty-answer", "no words")]
    if probe.expects and probe.expects.casefold() not in answer.words.casefold():
        return [Problem("wrong-words", f"{quoted(answer.words)} does not contain {quoted(probe.expects)}")]
    return []
