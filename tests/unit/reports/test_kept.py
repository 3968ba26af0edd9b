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

from roles.verify import Verdict
from roles.verify import __main__ as command
from roles.verify.kept import KEPT_VERDICTS, VERDICTS, keep, read_kept
from roles.verify.verdict import SCHEMA
from tests.deployed import deployed
from tests.verdicts import BAD, GOOD


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
    assert file.name.startswith("2026-11-24T060000Z-")


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
from roles.verify.kept import keep
from tests.verdicts import GOOD
# A file can not grow beyond this. Python ignores the signal, and sees the error of a full disk; else it kills.
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
        cwd=Path(__file__).parents[3],
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
    assert "holds again: unit/vllm@qwen-coder.service/port" in capsys.readouterr().out
    assert len(read_kept(found, 10)) == 1
    assert command.main(["--config", "/etc/ai-backend", "--keep", "--markdown"]) == 0
    assert "- holds again: unit/vllm@qwen-coder.service/port" in capsys.readouterr().out
    assert read_kept(found, 10)[-1] == GOOD
    assert command.main(["--config", "/etc/ai-backend"]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_a_verdict_that_can_not_be_kept_is_given_all_the_same(found: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "/etc/ai-backend", "--keep", "--json"]) == 0
    output = capsys.readouterr()
    assert Verdict.from_json(output.out) == GOOD
    assert output.err == f"verify: the verdict is not kept: {found}/verdicts: No such file or directory\n"


@pytest.mark.parametrize("form", ["--json", "--markdown", "--html", "--junit", "--prometheus"])
def test_one_form_at_a_time_goes_to_standard_output(found: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert command.main(["--config", "/etc/ai-backend", form]) == 0
    assert "qwen-coder" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--config", "/etc/ai-backend", form, "--json" if form != "--json" else "--html"])
    assert "not allowed with" in capsys.readouterr().err
