"""Steps with a time limit, each told as soon as it ends, and the table at the end."""

from __future__ import annotations

import contextlib
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Self

SHOWN_LINES = 40
"""Lines of a failed step's output that are printed: its fault must be clear from one run."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"
    """There is nothing here that it could be tried on, or nothing left to do."""
    NOT_RUN = "not run"
    """The time was over, or a step that it needs did not pass."""


_GOOD = (Outcome.PASSED, Outcome.SKIPPED)


class StepError(Exception):
    """A step found that something is not as it must be; `output`: what the programs said."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class SkipStep(Exception):
    """There is nothing here that the step could be tried on, or nothing left to do; the message says what."""


class TimeIsUp(BaseException):
    """The check's time is over. No plain exception: nothing on the way may take it for a failure of its own."""


@dataclass(frozen=True)
class Step:
    """`run` gives what was found, in one line. It is not run where a step that it `needs` failed or was not run."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    name: str
    outcome: Outcome
    seconds: float
    said: str


def run_steps(steps: Sequence[Step], limit: float, say: Callable[[str], None] = print) -> list[Row]:
    """Run the steps in order, whatever fails, until `limit` seconds are over. To be called in the main thread."""
    rows: list[Row] = []
    with _TimeLimit(limit) as time_limit:
        for step in steps:
            rows.append(row := _run(step, rows, time_limit))
            say(f"{row.outcome:>8}  {row.seconds:6.1f} s  {row.name}: {row.said}")
    return rows


class _TimeLimit:
    """Raises `TimeIsUp` once the seconds are over, in a block `cutting` if one is under way, and in no later one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._cuts = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    @contextlib.contextmanager
    def cutting(self) -> Iterator[None]:
        self._cuts = True
        try:
            yield
        finally:
            self._cuts = False

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        self.over = True
        if self._cuts:
            raise TimeIsUp


def _run(step: Step, rows: Sequence[Row], limit: _TimeLimit) -> Row:
    done = {row.name for row in rows if row.outcome in _GOOD}
    lacking = [need for need in step.needs if need not in done]
    if limit.over:
        return Row(step.name, Outcome.NOT_RUN, 0.0, f"the {limit.seconds:g} s were over")
    if lacking:
        return Row(step.name, Outcome.NOT_RUN, 0.0, f"needs {' and '.join(lacking)}")
    started = time.monotonic()
    try:
        with limit.cutting():
            outcome, said = Outcome.PASSED, step.run()
    except SkipStep as reason:
        outcome, said = Outcome.SKIPPED, str(reason)
    except TimeIsUp:
        outcome, said = Outcome.FAILED, f"cut, as the whole check may take {limit.seconds:g} s"
    except StepError as error:
        outcome, said = Outcome.FAILED, f"{error}{_last_lines(error.output)}"
    except Exception:  # a step's own defect must not cost the others
        outcome, said = Outcome.FAILED, f"it broke{_last_lines(traceback.format_exc())}"
    return Row(step.name, outcome, time.monotonic() - started, said)


def _last_lines(output: str) -> str:
    return "".join(f"\n    | {line}" for line in output.splitlines()[-SHOWN_LINES:])


def table(rows: Sequence[Row]) -> str:
    """All rows, one line each, and how many there are of each outcome."""
    widest = max(len(row.name) for row in rows)
    lines = [
        f"{row.outcome:<8}{row.seconds:7.1f} s  {row.name:<{widest}}  {row.said.partition(chr(10))[0]}" for row in rows
    ]
    counts = [(outcome, sum(row.outcome is outcome for row in rows)) for outcome in Outcome]
    total = sum(row.seconds for row in rows)
    summary = ", ".join(f"{count} {outcome.lower()}" for outcome, count in counts if count)
    return "\n".join([*lines, f"{summary}, in {total:.0f} s"])


def holds(rows: Sequence[Row]) -> bool:
    """Whether nothing failed and nothing was left out."""
    return all(row.outcome in _GOOD for row in rows)
