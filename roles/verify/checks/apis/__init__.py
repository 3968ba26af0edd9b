"""The deep questions: each route is asked as client programs ask, by its declared abilities, and with their mistakes.

The questions of one route are asked one after another, those of several routes side by side. Mistakes come after all
good questions: a gateway that makes a route pay for them would spoil the answers to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from roles.contract.abilities import UNKNOWN, Abilities
from roles.contract.modes import MODES
from roles.contract.verdict import Check
from roles.verify.checks.apis.chats import chat_questions
from roles.verify.checks.apis.hangups import hang_up_question
from roles.verify.checks.apis.mistakes import after_mistakes, mistakes
from roles.verify.checks.apis.others import (
    completion_questions,
    embedding_questions,
    message_questions,
    rerank_questions,
    response_questions,
)
from roles.verify.checks.apis.question import Question
from roles.verify.checks.cooldown import outlast_cooldown
from roles.verify.checks.routes import ask_plainly, backend_is_well
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.verdict.claim import CannotCheck, CheckFailed

__all__ = ["ask_apis"]


async def ask_apis(context: VerificationContext) -> list[Check]:
    """The checks of all routes."""
    routes = context.generation.routes
    context.progress(f"asking {len(routes)} routes as client programs ask, and with their mistakes")
    good = await asyncio.gather(*(_patiently(route, _questions(route), context) for route in routes))
    # One after another: each looks at how long an answer takes.
    freed = [await hang_up_question().check(route, context) for route in routes if MODES[route.mode].generates]
    wrong = await asyncio.gather(*(_in_order(route, mistakes(route), context) for route in routes))
    after = await asyncio.gather(*(after_mistakes().check(route, context) for route in routes))
    return [*chain(*good), *freed, *chain(*wrong), *after]


async def _in_order(route: Route, questions: Sequence[Question], context: VerificationContext) -> list[Check]:
    return [await question.check(route, context) for question in questions]


async def _patiently(route: Route, questions: Sequence[Question], context: VerificationContext) -> list[Check]:
    """A question that fails is followed by the time of the route's cooldown, so that the next one is judged by itself:
    as long as that helps."""
    checks, helps = [], True
    for question in questions:
        checks.append(await question.check(route, context))
        if helps and not checks[-1].ok:
            try:
                await outlast_cooldown(
                    lambda: ask_plainly(route, route.name, context),
                    lambda: backend_is_well(ask_plainly, route, context),
                    context.cooldown,
                )
            except (CheckFailed, CannotCheck):
                helps = False
    return checks


def _questions(route: Route) -> list[Question]:
    if route.mode == "chat":
        able = _known(route)
        return [*chat_questions(able), *response_questions(able), *message_questions(able)]
    if route.mode == "completion":
        return completion_questions(_known(route))
    return embedding_questions() if route.mode == "embedding" else rerank_questions()


def _known(route: Route) -> Abilities:
    """The abilities to ask for. Tools and schemas depend on the model, too: the route itself must promise them. Of a
    server that says nothing, nothing more is known."""
    known = replace(route.abilities, tools=route.tools, structured_outputs=route.structured_outputs)
    if route.abilities == UNKNOWN:
        return replace(known, images=False, logprobs=False, several=False)
    return known
