"""What changed since the last verdict: what began to fail, what passes again, what is new or gone, what got slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from roles.contract.verdict import Check
from roles.verify.verdict.changes import changes
from tests.verdicts import GOOD, changed

BEFORE = replace(GOOD, time="2026-11-24T05:00:00+00:00")
PORT = "unit/ollama.service/port"
CHAT = "route/qwen-native/chat"


def _lines(before: dict[str, dict[str, object]], now: dict[str, dict[str, object]]) -> list[str]:
    found = changes([GOOD, changed(BEFORE, before)], changed(GOOD, now))
    assert found is not None
    assert found.since == BEFORE.time
    return found.lines()


def test_without_an_earlier_verdict_there_is_nothing_to_tell() -> None:
    assert changes([], GOOD) is None


def test_the_same_again_is_no_change() -> None:
    assert _lines({}, {}) == []
    assert _lines({PORT: {"ok": False}}, {PORT: {"ok": False, "seen": "otherwise"}}) == []


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        pytest.param(True, False, [f"fails now: {PORT}: nobody"], id="passes, then fails"),
        pytest.param(True, None, [f"could not be checked: {PORT}: nobody"], id="passes, then unknown"),
        pytest.param(False, True, [f"passes again: {PORT}"], id="fails, then passes"),
        pytest.param(None, True, [f"passes again: {PORT}"], id="unknown, then passes"),
        pytest.param(None, False, [f"fails now: {PORT}: nobody"], id="unknown, then fails"),
        pytest.param(False, None, [], id="fails, then unknown"),
    ],
)
def test_a_check_that_turns_is_told(before: bool | None, now: bool | None, told: list[str]) -> None:
    assert _lines({PORT: {"ok": before}}, {PORT: {"ok": now, "seen": "nobody"}}) == told


def test_the_worst_comes_first() -> None:
    lines = _lines(
        {CHAT: {"ok": False}, "gateway/no-key": {"seconds": 0.1}},
        {PORT: {"ok": None, "seen": "?"}, "gateway/models": {"ok": False, "seen": "too much: x"}},
    )
    assert lines == [
        "fails now: gateway/models: too much: x",
        f"could not be checked: {PORT}: ?",
        f"passes again: {CHAT}",
    ]


def test_checks_that_are_new_or_gone_are_told() -> None:
    new = Check("host/disk/free", "disk", "has room", "10 GiB", "2 GiB", False, 0)
    found = changes([BEFORE], replace(GOOD, checks=(*GOOD.checks[1:], new)))
    assert found is not None
    assert found.lines() == [
        "new, and does not pass: host/disk/free",
        "no longer checked: unit/ai-backend-front.service/active",
    ]


OUTSIDE = Check("host/outside/control/11434", "ollama", "is closed to others", "closed", "closed", True, 0.1)


@pytest.mark.parametrize("ok", [True, False, None])
def test_what_only_the_control_machine_can_check_is_no_change_of_the_hosts_own_verdict(ok: bool | None) -> None:
    by_itself, by_hand = BEFORE, replace(GOOD, checks=(*GOOD.checks, replace(OUTSIDE, ok=ok)))
    for before, now in ((by_itself, by_hand), (by_hand, by_itself)):
        found = changes([before], now)
        assert found is not None
        assert found.lines() == []


def test_two_verdicts_from_outside_are_compared_in_full() -> None:
    other = replace(OUTSIDE, id="host/outside/control/6379")
    found = changes(
        [replace(BEFORE, checks=(*GOOD.checks, OUTSIDE))],
        replace(GOOD, checks=(*GOOD.checks, replace(OUTSIDE, ok=False, seen="open"), other)),
    )
    assert found is not None
    assert found.lines() == ["fails now: host/outside/control/11434: open", "new: host/outside/control/6379"]
    found = changes(
        [replace(BEFORE, checks=(*GOOD.checks, OUTSIDE, other))], replace(GOOD, checks=(*GOOD.checks, OUTSIDE))
    )
    assert found is not None
    assert found.lines() == ["no longer checked: host/outside/control/6379"]


def test_another_host_that_was_not_asked_this_time_is_no_change() -> None:
    other = replace(OUTSIDE, id="host/outside/box-2/11434", ok=False)
    found = changes(
        [replace(BEFORE, checks=(*GOOD.checks, OUTSIDE, other))],
        replace(GOOD, checks=(*GOOD.checks, replace(OUTSIDE, ok=False, seen="open"))),
    )
    assert found is not None
    assert found.lines() == ["fails now: host/outside/control/11434: open"]


@pytest.mark.parametrize("id", ["route/qwen-native/apis/usage", "route/qwen-native/fault-injection-1"])
def test_checks_on_demand_are_told_only_if_they_fail(id: str) -> None:
    def lines(before: Sequence[Check], now: Sequence[Check]) -> list[str]:
        found = changes([replace(BEFORE, checks=(*GOOD.checks, *before))], replace(GOOD, checks=(*GOOD.checks, *now)))
        assert found is not None
        return found.lines()

    good = Check(id, "qwen-native", "answers", "words", "words", True, 0.1)
    bad = replace(good, ok=False)
    assert lines([good], []) == lines([bad], []) == lines([], [good]) == []
    assert lines([], [bad]) == [f"new, and does not pass: {id}"]
    assert lines([good], [bad]) == [f"fails now: {id}: words"]


@pytest.mark.parametrize(
    ("check", "before", "now", "told"),
    [
        (CHAT, 0.6, 1.3, [f"slower: {CHAT}: 0.6 s → 1.3 s"]),
        (CHAT, 0.6, 1.1, []),
        (CHAT, 0.2, 0.9, []),
        (CHAT, 3.0, 1.0, []),
        ("unit/ollama.service/ready", 0.1, 90.0, []),
    ],
    ids=["more than double", "less than double", "below the floor", "faster", "no request"],
)
def test_an_answer_that_takes_more_than_twice_as_long_is_told(
    check: str, before: float, now: float, told: list[str]
) -> None:
    assert _lines({check: {"seconds": before}}, {check: {"seconds": now}}) == told


def test_how_long_a_failure_takes_is_no_latency() -> None:
    assert _lines({CHAT: {"ok": False, "seconds": 0.1}}, {CHAT: {"seconds": 9.0}}) == [f"passes again: {CHAT}"]


def test_another_generation_and_another_boot_are_told() -> None:
    found = changes([replace(BEFORE, generation="0ld", boot_id="another")], GOOD)
    assert found is not None
    assert found.lines() == [f"generation 0ld → {GOOD.generation}", "the host was booted since"]
