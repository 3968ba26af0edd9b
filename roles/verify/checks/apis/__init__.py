"""The deep questions: each route is asked as client programs ask, by its declared abilities, and with their mistakes.

The questions of one route are asked one after another, those of several routes side by side. Mistakes come after all
good questions: a gateway that makes a route pay for them would spoil the answers to others.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

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


async def ask_apis(context: VerificationContext, seconds: float = math.inf) -> list[Check]:
    """The checks of all routes.

    Args:
        seconds: after so many, no further question is asked.
    """
    routes = [route for route in context.generation.routes if not route.is_metered]
    time_left = _TimeLeft(seconds)
    context.progress(f"asking {len(routes)} routes as client programs ask, and with their mistakes")
    good = await asyncio.gather(*(_patiently(route, _questions(route), context, time_left) for route in routes))
    # One after another: each looks at how long an answer takes.
    freed = [
        await hang_up_question().check(route, context)
        for route in time_left.of([route for route in routes if MODES[route.mode].generates])
    ]
    wrong = await asyncio.gather(*(_in_order(route, mistakes(route), context, time_left) for route in routes))
    made = [route for route, checks in zip(routes, wrong, strict=True) if checks]
    after = await asyncio.gather(*(after_mistakes().check(route, context) for route in made))
    if time_left.left_out:
        context.progress(f"after {seconds:g} s, {time_left.left_out} questions were left out")
    return [*chain(*good), *freed, *chain(*wrong), *after]


_T = TypeVar("_T")


@dataclass
class _TimeLeft:
    """How long questions may still be asked.

    Attributes:
        seconds: from now on.
        left_out: how many were not asked as the time was over.
    """

    seconds: float
    left_out: int = 0
    _began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._began >= self.seconds

    def of(self, wanted: Sequence[_T]) -> Iterator[_T]:
        """One after another, as long as there is time."""
        for number, each in enumerate(wanted):
            if self.is_over:
                self.left_out += len(wanted) - number
                return
            yield each


async def _in_order(
    route: Route, questions: Sequence[Question], context: VerificationContext, time_left: _TimeLeft
) -> list[Check]:
    return [await question.check(route, context) for question in time_left.of(questions)]


async def _patiently(
    route: Route, questions: Sequence[Question], context: VerificationContext, time_left: _TimeLeft
) -> list[Check]:
    """A question that fails is followed by the time of the route's cooldown, so that the next one is judged by itself:
    as long as that helps."""
    checks, helps = [], True
    for question in time_left.of(questions):
        checks.append(await question.check(route, context))
        if helps and not checks[-1].ok and not time_left.is_over:
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
