"""When a route is slower than it should be: than what is declared, or than before by more than chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from roles.contract.manifest import SpeedBounds
from roles.contract.measured import RouteSpeed
from roles.contract.speeds import KeptSpeed

NOISE = 0.4
"""Share by which a speed may be lower by chance: less is not reported. Of 20 measurements on a busy lab host of two
processors, 2.1 % of all pairs differ by more, and 0.2 % if the lower is the better of two."""

ANSWER = 50
"""Tokens of an answer."""

NOTICED = 0.1
"""Seconds that such an answer must take longer."""

LATER = 2.0
"""How many times as long as before the first token must take to be reported."""

FLOOR = 1.0
"""Seconds. Below it a doubling is chance."""


def slower(speed: RouteSpeed, bounds: SpeedBounds, before: KeptSpeed | None) -> str:
    """In what it is slower, for people; empty = in nothing.

    Args:
        before: what it is compared with, which has a `good` one.
    """
    good = before.good if before else None
    found = list(_beyond(speed, bounds))
    if before and good:
        than = f"in generation {before.generation}"
        if _is_lower(good.tokens_per_second, speed.tokens_per_second):
            found.append(f"{speed.tokens_per_second:g} tokens/s, {good.tokens_per_second:g} {than}")
        if speed.first_token >= FLOOR and speed.first_token > LATER * good.first_token:
            found.append(f"first token after {speed.first_token:.2f} s, {good.first_token:.2f} s {than}")
    return "; ".join(found)


def faster(one: RouteSpeed, other: RouteSpeed) -> RouteSpeed:
    """The better of each of two measurements of a route."""
    return replace(
        one,
        first_token=min(one.first_token, other.first_token),
        tokens_per_second=max(one.tokens_per_second, other.tokens_per_second),
        prompt_tokens_per_second=max(one.prompt_tokens_per_second, other.prompt_tokens_per_second),
        at_once=max(one.at_once, other.at_once),
        tokens_per_second_at_once=max(one.tokens_per_second_at_once, other.tokens_per_second_at_once),
    )


def _beyond(speed: RouteSpeed, bounds: SpeedBounds) -> Iterator[str]:
    least, most = bounds.tokens_per_second, bounds.first_token
    if least is not None and speed.tokens_per_second < least:
        yield f"{speed.tokens_per_second:g} tokens/s, and {least:g} are declared"
    if most is not None and speed.first_token > most:
        yield f"first token after {speed.first_token:.2f} s, and {most:g} s are declared"


def _is_lower(old: float, new: float) -> bool:
    """A server that answers in no time differs much from run to run, and nobody notices."""
    return new < (1 - NOISE) * old and ANSWER / max(new, 1e-3) - ANSWER / max(old, 1e-3) >= NOTICED
