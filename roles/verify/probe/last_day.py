"""What Prometheus has measured in the last day, for the graphs of the status page."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from roles.contract.graphs import GRAPHS_FILE, WINDOW, Curve, Graph, LastDay, Line, Question, Questions
from roles.contract.wire import read

STEP = 900
"""Seconds from one value to the next. Rates are taken over as many, so that no request is left out."""
STEPS = 96
"""A day."""
MOST_LINES = 6
"""Of a graph; more cannot be distinguished."""
_LONGEST = 10.0
"""Seconds for all of it: a page without graphs is better than one that comes late."""


@dataclass(frozen=True)
class _Series:
    """As Prometheus answers: its labels; moments in seconds since 1970, with numbers as text."""

    metric: Mapping[str, str]
    values: tuple[tuple[float, str], ...]


async def read_last_day(generation: Path, client: httpx.AsyncClient, now: float | None = None) -> LastDay | None:
    """The graphs of the day before `now`, in seconds since 1970; none on a host without monitoring.

    Args:
        generation: the folder that says what to ask.
    """
    file = generation / GRAPHS_FILE
    if not file.exists():
        return None
    since = math.floor(time.time() if now is None else now) - (STEPS - 1) * STEP
    try:
        questions = read(Questions, json.loads(file.read_text()), strict=False)
        async with asyncio.timeout(_LONGEST):
            graphs = await asyncio.gather(
                *(_graph(question, questions.url, since, client) for question in questions.graphs)
            )
    except TimeoutError:
        return LastDay(since, STEP, (), f"it did not answer within {_LONGEST:g} seconds")
    except httpx.HTTPError as error:
        return LastDay(since, STEP, (), f"it cannot be asked: {type(error).__name__}")
    except OSError as error:
        return LastDay(since, STEP, (), f"{file} cannot be read: {error.strerror}")
    except (ValueError, LookupError, TypeError, OverflowError):
        return LastDay(since, STEP, (), "its answer is not as expected")
    return LastDay(since, STEP, tuple(graph for graph in graphs if graph.lines))


async def _graph(question: Question, url: str, since: int, client: httpx.AsyncClient) -> Graph:
    lines = [line for curve in question.curves for line in await _lines(curve, url, since, client)]
    largest = sorted(lines, key=lambda line: -sum(filter(None, line.values)))[:MOST_LINES]
    return Graph(
        question.title, question.unit, tuple(line for line in lines if line in largest), len(lines) - len(largest)
    )


async def _lines(curve: Curve, url: str, since: int, client: httpx.AsyncClient) -> list[Line]:
    """Raises httpx.HTTPError, ValueError, LookupError, TypeError, OverflowError: its answer is not as expected."""
    asked = {
        "query": curve.query.replace(WINDOW, f"{STEP}s"),
        "start": str(since),
        "end": str(since + (STEPS - 1) * STEP),
        "step": str(STEP),
    }
    reply = await client.get(f"{url}/api/v1/query_range", params=asked)
    reply.raise_for_status()
    return [
        Line(_name(curve.name, series.metric), _values(series, since))
        for series in (read(_Series, found, strict=False) for found in reply.json()["data"]["result"])
    ]


def _name(pattern: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), pattern)


def _values(series: _Series, since: int) -> tuple[float | None, ...]:
    """One for each step; none where there is no number, as of a quantile of no requests."""
    numbers = {round((moment - since) / STEP): float(f"{float(value):.4g}") for moment, value in series.values}
    finite = {step: number for step, number in numbers.items() if math.isfinite(number)}
    return tuple(finite.get(step) for step in range(STEPS))
