"""A request's way, as people read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from roles.contract.trace import FRONT_UNIT, FindRequest, FoundRequest, LoggedLine, whole
from roles.host.programs import trace
from roles.host.trace import trace_request, way_of
from roles.rooms import plan_of
from roles.verify import nothing_of
from tests.stacks import small_stack

PLAN = plan_of(small_stack())
NATIVE = next(unit.name for unit in PLAN.servers if unit.name.startswith("llama-server@"))
PROVIDER = NATIVE.partition("@")[2].removesuffix(".service")
REQUEST: dict[str, Any] = {
    "client": "ada",
    "from": "198.18.0.9",
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "route": "tiny",
    "deployment": f"tiny@{PROVIDER}",
    "fallbacks": "0",
    "instance": "b",
    "ms": 3_723_004,
    "wait_ms": 12,
    "first_byte_ms": 40,
    "request_bytes": 7,
    "answer_bytes": 900,
    "end": "--",
}


def front(**changes: object) -> LoggedLine:
    return LoggedLine(time="2026-01-01T00:00:01.250Z", unit=FRONT_UNIT, text=json.dumps({**REQUEST, **changes}))


def way(*lines: LoggedLine) -> list[str]:
    return list(way_of(FoundRequest(lines=lines, more=False, oldest=None), PLAN))


def test_the_fronts_line_says_who_asked_who_answered_and_how_long_it_took() -> None:
    said, look = way(front())
    assert said == (
        f"2026-01-01T00:00:01.250Z  {FRONT_UNIT}: POST /v1/chat/completions by client ada from 198.18.0.9: status 200 "
        f"after 3723004 ms; waited 12 ms for a free instance; first byte of the answer after 40 ms; answered by "
        f"tiny@{PROVIDER} of route tiny; through instance b; 7 bytes asked, 900 answered"
    )
    # It began in the year before.
    times = "--since '2025-12-31 22:57:58 UTC' --until '2026-01-01 00:00:02 UTC'"
    assert look == f"    its server's log meanwhile: journalctl -u {NATIVE} {times}"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("CD", "the client hung up in the middle of the answer"),
        ("CR", "the client hung up before the request was whole"),
        ("sD", "the instance was silent for too long in the middle of the answer"),
        ("sQ", "no instance was free in time"),
        ("PR", "the front refused it"),
        ("LR", "the front answered itself"),
        ("L-", "the front answered itself"),
        ("XX", "ended with XX"),
    ],
    ids=lambda part: part if len(part) == 2 else "words",
)
def test_haproxys_termination_state_is_told_in_words(end: str, words: str) -> None:
    assert way(front(end=end))[0].endswith(f"; {words}")


@pytest.mark.parametrize("nobody", [pytest.param("", id="empty"), pytest.param("-", id="as HAProxy logs it")])
def test_a_request_that_reached_nobody_names_nobody(nobody: str) -> None:
    unknown = dict.fromkeys(("client", "deployment", "route", "fallbacks"), nobody)
    (said,) = way(front(**unknown, instance="<NOSRV>", status=401, wait_ms=-1, first_byte_ms=-1))
    assert said.endswith(
        "POST /v1/chat/completions by a client without a name from 198.18.0.9: status 401 after 3723004 ms; 7 bytes "
        "asked, 900 answered"
    )


@pytest.mark.parametrize(("count", "words"), [("1", "after one fallback"), ("2", "after 2 fallbacks")])
def test_fallbacks_are_counted(count: str, words: str) -> None:
    assert f"; {words}; " in way(front(fallbacks=count))[0]


def test_the_fallbacks_of_one_route_are_counted_by_their_own_lines() -> None:
    event = LoggedLine(time="T", unit="litellm@a.service", text=json.dumps({"event": "fallback"}))
    assert "; after 2 fallbacks; " in way(event, event, front(fallbacks="1"))[2]


@pytest.mark.parametrize(("answered", "words"), [(True, "answered"), (False, "did not answer either")])
def test_a_fallback_is_told_with_its_cause(answered: bool, words: str) -> None:
    event = {
        "event": "fallback",
        "request": "x",
        "asked": "one",
        "tried": "two",
        "answered": answered,
        "why": "Timeout: 4 s",
    }
    line = LoggedLine(time="T", unit="litellm@a.service", text=json.dumps(event))
    assert way(line) == [f"T  litellm@a.service: one failed: Timeout: 4 s; its fallback two {words}"]


@pytest.mark.parametrize("text", ["plain words", "[1, 2]", "{broken", '{"event": "other"}', "7", "null"])
@pytest.mark.parametrize("unit", ["vllm@tiny.service", FRONT_UNIT])
def test_any_other_line_is_shown_as_it_is(text: str, unit: str) -> None:
    (said,) = way(LoggedLine(time="T", unit=unit, text=text))
    assert text in said or (unit, text) == (FRONT_UNIT, '{"event": "other"}')


def test_what_is_not_found_says_how_far_the_journal_goes_back() -> None:
    unknown = FoundRequest(lines=(), more=False, oldest="2026-01-01T00:00:00.000Z")
    assert nothing_of(unknown, "abc") == "no request abc: its journal goes back to 2026-01-01T00:00:00.000Z"
    silent = FoundRequest(lines=(), more=False, oldest=None)
    assert nothing_of(silent, "abc").startswith("nothing: its journal has no line of ai-backend-front.service")


class Journal:
    """A manager whose journal holds these messages, oldest first."""

    def __init__(self, *messages: object) -> None:
        self.entries = [
            json.dumps(
                {"MESSAGE": message, "_SYSTEMD_UNIT": FRONT_UNIT, "__REALTIME_TIMESTAMP": str(number * 1_000_500)}
            )
            for number, message in enumerate(messages)
        ]

    def journal(self, units: Sequence[str], *more: str) -> Iterator[str]:
        return iter(self.entries[::-1] if "--reverse" in more else self.entries)


def found(*messages: object) -> FoundRequest:
    return trace.find(trace_request(PLAN, "abc"), Journal(*messages))  # type: ignore[arg-type]


def test_the_lines_come_in_the_order_of_time() -> None:
    answer = found("a", "b")
    assert [line.text for line in answer.lines] == ["a", "b"]
    assert [line.time for line in answer.lines] == ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.000Z"]
    assert (answer.oldest, answer.more) == ("1970-01-01T00:00:00.000Z", False)


def test_of_too_many_lines_the_oldest_are_left_out() -> None:
    answer = found(*map(str, range(500)))
    assert ([line.text for line in answer.lines], answer.more) == ([str(number) for number in range(300, 500)], True)
    assert next(way_of(answer, PLAN)) == "earlier lines are left out"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param([104, 105, 255], "hi\\xff", id="bytes that are no text"),
        pytest.param("x" * 5000, "x" * 4000, id="a long one"),
        pytest.param("", "", id="an empty one"),
        pytest.param([], "", id="no bytes"),
    ],
)
def test_a_message_of_any_bytes_is_read(message: object, text: str) -> None:
    assert [line.text for line in found(message).lines] == [text]


@pytest.mark.parametrize(
    "message", [None, ["several", "values"], [[104], [105]]], ids=["none", "two texts", "two of bytes"]
)
def test_an_entry_without_one_message_is_left_out(message: object) -> None:
    assert found(message) == FoundRequest(lines=(), more=False, oldest=None)


def test_all_servers_are_asked() -> None:
    request = trace_request(PLAN, "abc")
    assert isinstance(request, FindRequest)
    assert {FRONT_UNIT, NATIVE, "litellm@a.service"} <= set(request.units)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"id": "12345", "status": 200}', True),
        ("request 12345.", True),
        ("request 12345: failed", True),
        ("port 123456", False),
        ("it took 0.12345 s", False),
        ("it took 12345.6 s", False),
        ("0b0c12345f", False),
    ],
)
def test_an_id_of_digits_is_no_part_of_another_number(text: str, found: bool) -> None:
    assert bool(re.search(whole("12345"), text)) is found
