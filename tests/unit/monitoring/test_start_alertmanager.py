"""The start of Alertmanager: its secrets get into a private copy of its configuration, and not into its log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.labhost.paths import REPOSITORY

_PROGRAM = REPOSITORY / "roles" / "monitoring" / "start_alertmanager.py"
_CONFIG = "a: '@secret:ONE@'\nb: '@secret:TWO@?tpl=1'\nc: plain@example.com\n"
_SECRETS = {"ONE": 'it\'s \\ a "secret": #1', "TWO": "https://hooks.example.com/a-secret"}


def started(tmp_path: Path, secrets: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "config.yml").write_text(_CONFIG)
    arguments = [str(_PROGRAM), str(tmp_path / "config.yml"), str(tmp_path / "copy.yml"), *command]
    return subprocess.run(
        [sys.executable, "-I", "-S", *arguments],
        env=secrets,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        # One of them ends all processes of its group.
        start_new_session=True,
    )


def test_secrets_are_filled_in_as_they_are_in_a_file_of_its_own(tmp_path: Path) -> None:
    done = started(tmp_path, _SECRETS, "/bin/true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert yaml.safe_load((tmp_path / "copy.yml").read_text()) == {
        "a": _SECRETS["ONE"],
        "b": f"{_SECRETS['TWO']}?tpl=1",
        "c": "plain@example.com",
    }
    assert (tmp_path / "copy.yml").stat().st_mode & 0o777 == 0o600
    # A start after that finds the file of the one before.
    assert started(tmp_path, _SECRETS, "/bin/true").returncode == 0


def test_the_log_has_all_lines_but_no_secret_and_the_process_is_the_programs(tmp_path: Path) -> None:
    shown = 'echo Post \\"$TWO\\": refused; echo "$ONE" >&2; echo last; exit 3'
    done = started(tmp_path, _SECRETS, "/bin/sh", "-c", shown)
    assert done.returncode == 3
    assert sorted(done.stdout.splitlines()) == ['Post "[not shown]": refused', "[not shown]", "last"]


def test_a_stop_of_the_whole_unit_loses_no_line(tmp_path: Path) -> None:
    done = started(tmp_path, _SECRETS, "/bin/sh", "-c", "trap 'sleep 0.2; echo stopped; exit 0' TERM; kill -TERM 0")
    assert "stopped" in done.stdout


def test_a_missing_secret_is_named_and_nothing_starts(tmp_path: Path) -> None:
    done = started(tmp_path, {"ONE": _SECRETS["ONE"]}, "/bin/echo", "started")
    assert (done.returncode, done.stdout) == (78, "fatal: no TWO is given: run the deploy again\n")
    assert not (tmp_path / "copy.yml").exists()
