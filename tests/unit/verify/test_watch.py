"""What a verification that nobody asked for leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.options import EnvSecret, OptionsError, Verification
from roles.plan import WATCH_TIMER, WATCH_UNIT
from roles.rooms import plan_of
from roles.verify import Verdict
from roles.verify.verdict.writing import write_whole
from roles.verify.watch import NotDelivered, has_changed, notify, settled
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.labhost.paths import REPOSITORY
from tests.stacks import small_stack, user_scope
from tests.verdicts import BAD, GOOD

_STEP = """
import sys, time
from roles.host.programs.host_lock import one_at_a_time
with one_at_a_time(sys.argv[1], "forward", "alice@desk"):
    print("at work", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def step(state: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the turn, as a deploy's step does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STEP, str(state), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def test_what_a_step_makes_red_is_verified_again_when_it_has_ended(tmp_path: Path) -> None:
    seen = [BAD, BAD, GOOD]

    def verify() -> Verdict:
        if len(seen) == 2:  # one begins and ends meanwhile
            step(tmp_path, 0).wait()
        return seen.pop(0)

    process = step(tmp_path, 1)
    assert settled(verify, tmp_path) == GOOD
    assert process.wait() == 0


def test_a_step_that_ends_during_the_verification_has_made_it_red_too(tmp_path: Path) -> None:
    process, seen = step(tmp_path, 1), [BAD, GOOD]

    def verify() -> Verdict:
        process.wait()
        return seen.pop(0)

    assert settled(verify, tmp_path) == GOOD


def test_what_is_red_without_a_deploy_is_told_at_once(tmp_path: Path) -> None:
    seen = [BAD, GOOD]
    assert settled(lambda: seen.pop(0), tmp_path) == BAD


def test_what_a_killed_deploy_left_delays_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    (tmp_path / "lock" / "holder.json").write_text('{"id": "x", "who": "carol@desk"}')
    process = step(tmp_path, 60)
    process.kill()
    process.wait()
    seen = [BAD, GOOD]
    assert settled(lambda: seen.pop(0), tmp_path) == BAD


@pytest.mark.parametrize("stranger", ["folder", "pipe", "nothing"])
def test_what_is_no_turn_delays_nothing(tmp_path: Path, stranger: str) -> None:
    match stranger:
        case "folder":
            (tmp_path / "turn").mkdir()
        case "pipe":
            os.mkfifo(tmp_path / "turn")
    seen = [BAD, GOOD]
    assert settled(lambda: seen.pop(0), tmp_path) == BAD


def test_a_step_that_never_ends_delays_an_alarm_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roles.verify.watch._LONGEST_WAIT", 0.0)
    process, seen = step(tmp_path, 60), [BAD, GOOD]
    assert settled(lambda: seen.pop(0), tmp_path) == BAD
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        pytest.param([], GOOD, False, id="first, good"),
        pytest.param([], BAD, True, id="first, bad"),
        pytest.param([GOOD], GOOD, False, id="still good"),
        pytest.param([GOOD], BAD, True, id="turned bad"),
        pytest.param([BAD], BAD, False, id="still bad"),
        pytest.param([BAD], GOOD, True, id="turned good"),
        pytest.param([BAD, GOOD], GOOD, False, id="still good after bad"),
    ],
)
def test_only_a_change_is_told_and_a_host_that_nobody_knows_is_to_hold(
    before: list[Any], now: Any, changed: bool
) -> None:
    assert has_changed(now, before) is changed


def test_a_verdict_that_could_not_be_made_does_not_hold() -> None:
    unknown = replace(GOOD, checks=tuple(replace(check, ok=None) for check in GOOD.checks))
    assert has_changed(unknown, [GOOD])
    assert not has_changed(unknown, [BAD])


def test_a_file_is_replaced_as_a_whole_and_all_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    for text in ("one\n", "two\n"):
        write_whole(text, file)
        assert file.read_text() == text
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_what_can_not_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    write_whole("old\n", file)
    with pytest.raises(UnicodeEncodeError):
        write_whole("\ud800", file)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old\n"]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """An address, what it was told, and the statuses that it gives, one after the other."""
    told: list[dict[str, Any]] = []
    statuses: list[int] = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

    with ThreadedServer("127.0.0.1", Handler) as server:
        yield f"{server.url}/secret", told, statuses


def test_the_webhook_is_told_what_does_not_hold(hook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    url, told, _ = hook
    notify(BAD, url)
    (message,) = told
    assert (message["host"], message["status"], message["text"]) == (BAD.host, "fail", BAD.summary)
    assert {check["id"] for check in message["checks"]} == {check.id for check in BAD.checks if not check.ok}


def test_it_is_tried_again_and_its_address_is_never_told(hook: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    url, told, statuses = hook
    statuses += [503]
    notify(BAD, url)
    assert len(told) == 2
    statuses += [500, 500, 500]
    with pytest.raises(NotDelivered, match=r"^the webhook could not be notified \(status 500\)$"):
        notify(BAD, url)
    with pytest.raises(NotDelivered, match="UnsupportedProtocol"):
        notify(BAD, "secret-that-is-no-address")


def test_the_timer_starts_at_boot_and_the_service_only_by_it() -> None:
    plan = plan_of(small_stack(verification=Verification(every=600)))
    units = {unit.name: unit for unit in plan.units}
    assert units[WATCH_TIMER].kind == "timer"
    assert "\nOnUnitInactiveSec=600\n" in units[WATCH_TIMER].text
    assert units[WATCH_UNIT].kind == "triggered"
    assert "[Install]" not in units[WATCH_UNIT].text


def test_the_webhook_is_in_a_0600_file_alone() -> None:
    plan = plan_of(small_stack(verification=Verification(webhook=EnvSecret("HOOK"))))
    (unit,) = [unit for unit in plan.units if unit.name == WATCH_UNIT]
    assert dict(unit.environment) == {"AI_BACKEND_WEBHOOK": EnvSecret("HOOK")}
    assert f"EnvironmentFile=/etc/ai-backend/env/{WATCH_UNIT}.env" in unit.text


def test_metrics_for_a_collector_are_written_where_it_looks_and_that_may_be_written_to() -> None:
    file = "/var/lib/prometheus/node-exporter/ai_backend.prom"
    plan = plan_of(small_stack(verification=Verification(textfile=file)))
    (unit,) = [unit for unit in plan.units if unit.name == WATCH_UNIT]
    assert f"--textfile {file}" in unit.text.replace("\\\n    ", "")
    assert "ReadWritePaths=-/var/lib/prometheus/node-exporter\n" in unit.text


def test_in_user_scope_it_has_no_frame_that_needs_root() -> None:
    (unit,) = [unit for unit in plan_of(small_stack(scope=user_scope())).units if unit.name == WATCH_UNIT]
    assert "Protect" not in unit.text
    assert "StateDirectory" not in unit.text


@pytest.mark.parametrize(("option", "value"), [("every", 5), ("textfile", "metrics.txt"), ("webhook", "http://x/")])
def test_what_can_not_be_is_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionsError):
        Verification(**{option: value})
