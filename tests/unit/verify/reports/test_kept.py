"""Kept verdicts: whole files, the newest of them, and never a reason for the verifier to fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract.speeds import SPEEDS
from roles.contract.verdict import SCHEMA, Check
from roles.host.verification import FailedApis, KeptVerdicts
from roles.verify import Verdict, read_verdict
from roles.verify import __main__ as command
from roles.verify.verdict import kept_files
from roles.verify.verdict.kept import KEPT_VERDICTS, VERDICTS, keep, read_kept
from roles.verify.verdict.kept_apis import APIS
from roles.verify.verdict.kept_speeds import read_speeds
from roles.verify.watch import has_changed
from tests.deployed import deployed
from tests.labhost.paths import REPOSITORY
from tests.verdicts import BAD, GOOD, SLOW, SPEED, USED, as_schema_2, without_codes


def _at(number: int) -> Verdict:
    """Runs one after the other, some within the same day."""
    return replace(GOOD, time=f"2026-11-{1 + number // 24:02}T{number % 24:02}:00:00+00:00")


def test_a_kept_verdict_is_read_as_it_was_found(tmp_path: Path) -> None:
    keep(GOOD, tmp_path)
    keep(BAD, tmp_path)
    assert read_kept(tmp_path, 10) == (GOOD, BAD)
    assert read_kept(tmp_path, 1) == (BAD,)
    (file, _) = sorted((tmp_path / VERDICTS).iterdir())
    assert file.read_text() == f"{GOOD.to_json()}\n"
    assert file.name.startswith("000000000001-2026-11-24T060000Z-")


def test_a_kept_verdict_which_all_users_may_read_names_no_client(tmp_path: Path) -> None:
    keep(USED, tmp_path)
    assert read_kept(tmp_path, 10) == (replace(USED, usage=None, last_day=None),)


def test_the_speed_of_each_route_is_kept_with_its_generation(tmp_path: Path) -> None:
    assert read_speeds(tmp_path) == ()
    keep(USED, tmp_path)
    then = replace(SPEED, tokens_per_second=37.0)
    keep(replace(GOOD, speeds=(then,), generation="2nd"), tmp_path)
    keep(replace(GOOD, time="2026-11-25T06:00:00+00:00", speeds=(then,)), tmp_path)
    keep(GOOD, tmp_path)
    found = [(each.generation, each.time, each.last, each.good) for each in read_speeds(tmp_path)]
    assert found == [
        (GOOD.generation, GOOD.time, SLOW, SLOW),
        ("2nd", GOOD.time, then, then),
        (GOOD.generation, "2026-11-25T06:00:00+00:00", then, then),
    ]


def test_what_is_slower_or_failed_or_beside_others_is_nothing_to_compare_with(tmp_path: Path) -> None:
    late = replace(GOOD, time="2026-11-25T06:00:00+00:00")
    keep(replace(GOOD, speeds=(SPEED,)), tmp_path)
    slow = replace(SPEED, tokens_per_second=7.0, slower="7 tokens/s")
    keep(replace(late, speeds=(slow,)), tmp_path)
    keep(replace(GOOD, speeds=(replace(SPEED, others=1),)), tmp_path)
    (kept,) = read_speeds(tmp_path)
    assert (kept.time, kept.last, kept.good) == (late.time, slow, SPEED)
    keep(replace(BAD, speeds=(SPEED,), generation="2nd"), tmp_path)
    assert read_speeds(tmp_path)[1].good is None
    # A generation whose only failure is its host's is no worse.
    disk = replace(GOOD.checks[0], id="host/disk/free", ok=False)
    keep(replace(GOOD, speeds=(SPEED,), generation="3rd", checks=(*GOOD.checks, disk)), tmp_path)
    assert read_speeds(tmp_path)[2].good == SPEED


def test_a_damaged_file_of_speeds_counts_as_none_and_is_replaced(tmp_path: Path) -> None:
    for text in ("", "{}", "[1]", '[{"route": "a"}]', "\0", "[" * 5000):
        (tmp_path / SPEEDS).write_text(text)
        assert read_speeds(tmp_path) == ()
        keep(USED, tmp_path)
        assert tuple(each.last for each in read_speeds(tmp_path)) == USED.speeds


def test_metrics_have_the_speeds_that_were_measured_last(tmp_path: Path) -> None:
    generation = deployed(tmp_path)
    state = generation.state
    state.mkdir(exist_ok=True)
    keep(USED, state)
    keep(replace(USED, generation="another", speeds=(replace(SPEED, route="gone"),)), state)
    command._write_metrics(replace(GOOD, speeds=(replace(SPEED, first_token=0.5),)), generation, tmp_path / "a.prom")
    lines = (tmp_path / "a.prom").read_text().splitlines()
    assert [line for line in lines if line.startswith("ai_backend_route_first_token_seconds{")] == [
        'ai_backend_route_first_token_seconds{route="qwen-native"} 0.5',
        'ai_backend_route_first_token_seconds{route="vision"} 0.214',
    ]
    assert 'ai_backend_route_slower{route="vision"} 1' in lines


def test_a_slow_night_is_told_once_and_no_later_verdict_takes_it_back() -> None:
    slow = Check("route/qwen-native/speed", "qwen-native", "is fast", "", "slow", False, 9)
    night = replace(GOOD, checks=(*GOOD.checks, slow))
    assert has_changed(night, [GOOD])
    assert not has_changed(GOOD, [night])
    assert has_changed(BAD, [night])
    assert has_changed(replace(night, checks=(*GOOD.checks, replace(slow, ok=True))), [night])


def _asked(generation: str, **ok: bool) -> Verdict:
    """A verdict on a generation whose route was asked as client programs ask."""
    checks = tuple(
        replace(
            GOOD.checks[0], id=f"route/a/b/apis/{kind}", ok=passes, seen="it", code=None if passes else "empty-answer"
        )
        for kind, passes in ok.items()
    )
    return replace(GOOD, generation=generation, checks=(*GOOD.checks, *checks))


def _failed(state: Path) -> dict[str, dict[str, str]]:
    """The same, as the control machine reads it."""
    fact = FailedApis()
    done = subprocess.run(["sh", "-c", str(fact.command(str(state)))], capture_output=True, text=True, check=True)
    return fact.process(done.stdout.splitlines())


def test_what_failed_when_clients_questions_were_last_asked_is_kept_by_generation(tmp_path: Path) -> None:
    assert _failed(tmp_path) == {}
    keep(GOOD, tmp_path)
    assert not (tmp_path / APIS).exists(), "none were asked"
    keep(_asked("old", stop=False, usage=True), tmp_path)
    keep(_asked("new", stop=True), tmp_path)
    keep(replace(BAD, generation="new"), tmp_path)
    assert _failed(tmp_path) == {"old": {"route/a/b/apis/stop": "empty-answer"}, "new": {}}
    keep(_asked("old", stop=True, usage=False), tmp_path)
    assert _failed(tmp_path) == {"new": {}, "old": {"route/a/b/apis/usage": "empty-answer"}}
    for number in range(30):
        keep(_asked(f"{number}", stop=True), tmp_path)
    assert list(_failed(tmp_path)) == [f"{number}" for number in range(10, 30)]


def test_a_damaged_file_of_what_failed_counts_as_none_and_is_replaced(tmp_path: Path) -> None:
    for text in ("", "[]", "7", '{"a": 7}', '{"a": {"b": null}}', "\0", "[" * 5000, '{"a": {}'):
        (tmp_path / APIS).write_text(text)
        assert _failed(tmp_path) == {}
        keep(_asked("new", stop=False), tmp_path)
        assert _failed(tmp_path) == {"new": {"route/a/b/apis/stop": "empty-answer"}}


def test_where_nothing_was_kept_nothing_is_read(tmp_path: Path) -> None:
    assert read_kept(tmp_path, 10) == ()


def test_no_more_than_the_bound_are_kept_and_the_oldest_go(tmp_path: Path) -> None:
    for number in range(KEPT_VERDICTS + 3):
        keep(_at(number), tmp_path)
    kept = read_kept(tmp_path, 1000)
    assert [verdict.time for verdict in kept] == [_at(number).time for number in range(3, KEPT_VERDICTS + 3)]


def test_what_is_damaged_or_of_another_version_is_passed_over(tmp_path: Path) -> None:
    keep(GOOD, tmp_path)
    folder = tmp_path / VERDICTS
    (folder / "2026-11-24T070000Z-aaaa.json").write_text(GOOD.to_json()[:100])
    (folder / "2026-11-24T080000Z-aaaa.json").write_text(GOOD.to_json().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    (folder / "2026-11-24T090000Z-aaaa.json").write_bytes(b"\xff\xfe")
    (folder / ".2026-11-24T100000Z-aaaa.json").write_text(BAD.to_json())
    assert read_kept(tmp_path, 10) == (GOOD,)


def test_what_the_version_before_has_kept_is_read_and_compared(tmp_path: Path) -> None:
    keep(GOOD, tmp_path)
    (file,) = (tmp_path / VERDICTS).glob("*.json")
    file.write_text(as_schema_2(BAD))
    keep(GOOD, tmp_path)
    assert read_kept(tmp_path, 10) == (without_codes(BAD), GOOD)
    assert has_changed(GOOD, read_kept(tmp_path, 10)[:1])


_OLDER = "2026-11-24T060000Z-aaaa.json"
"""As the version before named them, by the time."""
_AHEAD = "2031-01-01T000000Z-ffff.json"


@pytest.mark.parametrize("time", ["2031-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00", GOOD.time])
def test_the_last_is_what_was_written_last_whatever_the_clock_said(tmp_path: Path, time: str) -> None:
    wrong = replace(BAD, time=time)
    for verdict in (GOOD, wrong, GOOD, wrong, BAD):
        keep(verdict, tmp_path)
    assert read_kept(tmp_path, 10) == (GOOD, wrong, GOOD, wrong, BAD)
    assert has_changed(GOOD, read_kept(tmp_path, 1))
    assert not has_changed(BAD, read_kept(tmp_path, 1))


@pytest.mark.parametrize(
    "foreign",
    [
        _AHEAD,
        "999999999999-x.json",
        pytest.param(f"{'9' * 200}.json", id="a number too large"),
        "zzz.json",
        "000000000041 and more.json",
        pytest.param("a name with 'quotes' and\na line.json", id="quotes and two lines"),
        "-1.json",
        pytest.param("\u0660" * 11 + "\u0667-digits of another script.json", id="digits of another script"),
        "000000000041-gap.json",
    ],
)
def test_files_of_the_version_before_and_of_strangers_come_first(tmp_path: Path, foreign: str) -> None:
    folder = tmp_path / VERDICTS
    folder.mkdir()
    (folder / _OLDER).write_text(BAD.to_json())
    (folder / foreign).write_text(BAD.to_json())
    for _ in range(3):
        keep(GOOD, tmp_path)
    assert read_kept(tmp_path, 10) == (BAD, BAD, GOOD, GOOD, GOOD)
    assert _printed(folder, 2) == [GOOD, GOOD]


def test_those_of_the_version_before_go_first(tmp_path: Path) -> None:
    folder = tmp_path / VERDICTS
    folder.mkdir()
    for name in (_OLDER, _AHEAD):
        (folder / name).write_text(BAD.to_json())
    for _ in range(KEPT_VERDICTS):
        keep(GOOD, tmp_path)
    assert not (folder / _AHEAD).exists()
    assert read_kept(tmp_path, 1000) == (GOOD,) * KEPT_VERDICTS


def _printed(folder: Path, count: int) -> list[Verdict]:
    """What the fact's program tells of a folder."""
    program = Path(kept_files.__file__).read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(folder), str(count)], capture_output=True, text=True, check=True
    )
    return [read_verdict(line) for line in done.stdout.splitlines() if line]


_HALF = GOOD.to_json()[:100].encode()
_WRONG = [
    b"",
    b"\0" * 4096,
    _HALF,
    _HALF + GOOD.to_json().encode(),
    b"\xff\xfe",
    b"7",
    b"[" * 100_000,
    GOOD.to_json().replace('"checks": [', '"checks": [7, ', 1).encode(),
    GOOD.to_json().replace('"ok": true', '"ok": "yes"', 1).encode(),
    GOOD.to_json().replace('"seen": "', '"seen": 7, "was": "', 1).encode(),
    GOOD.to_json().replace(GOOD.time, "yesterday").encode(),
]


@pytest.mark.parametrize("wrong", _WRONG, ids=range(len(_WRONG)))
def test_a_torn_or_foreign_file_costs_nothing_but_itself(tmp_path: Path, wrong: bytes) -> None:
    keep(BAD, tmp_path)
    (tmp_path / VERDICTS / "000000000002-x.json").write_bytes(wrong)
    keep(GOOD, tmp_path)
    assert read_kept(tmp_path, 2) == (BAD, GOOD)
    assert _fact_of(tmp_path) == (BAD, GOOD)


def _fact_of(state: Path) -> tuple[Verdict, ...]:
    """The same, as the control machine reads it."""
    fact = KeptVerdicts()
    done = subprocess.run(["sh", "-c", str(fact.command(str(state)))], capture_output=True, text=True, check=True)
    return fact.process(done.stdout.splitlines())


def test_what_is_no_file_is_left_alone_and_waited_for_by_nobody(tmp_path: Path) -> None:
    folder = tmp_path / VERDICTS
    folder.mkdir()
    (folder / "000000000009-folder.json").mkdir()
    os.mkfifo(folder / "000000000009-pipe.json")
    (folder / "000000000009-link.json").symlink_to("nowhere")
    keep(GOOD, tmp_path)
    assert read_kept(tmp_path, 5) == (GOOD,)
    assert _fact_of(tmp_path) == (GOOD,)


def test_two_runs_at_once_keep_both_verdicts(tmp_path: Path) -> None:
    threads = [threading.Thread(target=keep, args=(GOOD, tmp_path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_kept(tmp_path, 100) == (GOOD,) * 8


def test_what_a_killed_run_left_unfinished_goes_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / VERDICTS
    folder.mkdir()
    dead, alive = folder / ".2026-11-01T000000Z-aaaa.json", folder / ".2026-11-24T055959Z-bbbb.json"
    for file in (dead, alive):
        file.write_text("{")
    os.utime(dead, (time.time() - 7200,) * 2)
    keep(GOOD, tmp_path)
    assert not dead.exists()
    assert alive.exists()


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from roles.verify.verdict.kept import keep
from tests.verdicts import GOOD
# A file cannot grow beyond this. Python ignores the signal, and sees the error of a full disk; else it kills.
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if sys.argv[2] == "killed":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
try:
    keep(GOOD, Path(sys.argv[1]))
except OSError as error:
    print(error.strerror)
"""


def _keep_limited(state: Path, way: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _LIMITED, str(state), way],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_a_verdict_that_does_not_fit_on_the_disk_leaves_nothing_of_it_and_all_before_it(tmp_path: Path) -> None:
    keep(BAD, tmp_path)
    assert _keep_limited(tmp_path, "refused").stdout == "File too large\n"
    assert read_kept(tmp_path, 10) == (BAD,)
    assert len(list((tmp_path / VERDICTS).iterdir())) == 1


def test_a_run_that_is_killed_while_it_writes_leaves_no_half_verdict_to_be_read(tmp_path: Path) -> None:
    assert _keep_limited(tmp_path, "killed").returncode == -signal.SIGXFSZ
    (left,) = (tmp_path / VERDICTS).iterdir()
    assert left.name.startswith(".")
    assert left.stat().st_size == 1000


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host on which the verifier finds `GOOD`; its state folder."""

    async def verify(generation: object, **options: object) -> Verdict:
        return GOOD

    generation = deployed(tmp_path, state=tmp_path / "state")
    monkeypatch.setattr(command, "load_generation", lambda config: generation)
    monkeypatch.setattr(command, "verify", verify)
    return tmp_path / "state"


def test_the_command_keeps_when_told_to_and_compares_with_what_was_kept_before(
    found: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found.mkdir()
    keep(replace(BAD, time="2026-11-23T06:00:00+00:00"), found)
    assert command.main(["--config", "/etc/ai-backend"]) == 0
    assert "passes again: unit/vllm@qwen-coder.service/port" in capsys.readouterr().out
    assert len(read_kept(found, 10)) == 1
    assert command.main(["--config", "/etc/ai-backend", "--keep", "--markdown"]) == 0
    assert "- passes again: unit/vllm@qwen-coder.service/port" in capsys.readouterr().out
    assert read_kept(found, 10)[-1] == GOOD
    assert command.main(["--config", "/etc/ai-backend"]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_a_verdict_that_can_not_be_kept_is_given_all_the_same(found: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "/etc/ai-backend", "--keep", "--json"]) == 0
    output = capsys.readouterr()
    assert read_verdict(output.out) == GOOD
    assert output.err == f"verify: the verdict is not kept: {found}/verdicts: No such file or directory\n"


@pytest.mark.parametrize(
    ("form", "graphs"), {"--html": True, "--json": True, "--markdown": False, "--keep": False}.items()
)
def test_prometheus_is_asked_for_a_form_that_has_graphs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, graphs: bool
) -> None:
    asked: list[object] = []

    async def verify(generation: object, **options: object) -> Verdict:
        asked.append(options["graphs"])
        return GOOD

    monkeypatch.setattr(command, "load_generation", lambda config: deployed(tmp_path, state=tmp_path))
    monkeypatch.setattr(command, "verify", verify)
    assert command.main(["--config", "/etc/ai-backend", form]) == 0
    assert asked == [graphs]


@pytest.mark.parametrize("form", ["--json", "--markdown", "--html", "--junit", "--prometheus"])
def test_one_form_at_a_time_goes_to_standard_output(found: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert command.main(["--config", "/etc/ai-backend", form]) == 0
    assert "qwen-coder" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--config", "/etc/ai-backend", form, "--json" if form != "--json" else "--html"])
    assert "not allowed with" in capsys.readouterr().err
