"""The command's files and streams: standard input, files that cannot be read, output that cannot be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_BAD = """model_list:
  - {model_name: "ä", litellm_params: {model: llama_cpp/x}}
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}
"""
_PLACE = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]}


def _shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in which LINT is the command."""
    (folder / "bad.yaml").write_text(_BAD)
    place = {**_PLACE, "LINT": f"{sys.executable} -m roles.lint", **variables}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, cwd=folder, env=place, timeout=60
    )


def _rules(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    return {(finding["file"], finding["rule"]) for finding in json.loads(done.stdout)}


_CASES = {
    "pipe": ("cat bad.yaml | $LINT - --json", 1, "-", "unknown-provider"),
    "standard input": ("$LINT - --json < bad.yaml", 1, "-", "unknown-provider"),
    "its name in /dev": ("cat bad.yaml | $LINT /dev/stdin --json", 1, "/dev/stdin", "unknown-provider"),
    "nothing": ("$LINT - --json < /dev/null", 2, "-", "empty-file"),
    "closed": ("$LINT - --json <&-", 2, "-", "unreadable-file"),
    "no UTF-8": ("printf '\\xff' | $LINT - --json", 2, "-", "unreadable-file"),
    "NUL": ("printf 'a: \\0' | $LINT - --json", 2, "-", "yaml-syntax"),
    "endless": ("yes 'a: b' | $LINT - --json", 2, "-", "unreadable-file"),
    "nothing, and a file": ("$LINT - bad.yaml --json < /dev/null", 2, "bad.yaml", "unknown-provider"),
    "missing": ("$LINT none.yaml bad.yaml --json", 2, "bad.yaml", "unknown-provider"),
    "folder": ("$LINT . bad.yaml --json", 2, ".", "unreadable-file"),
    "below a file": ("$LINT bad.yaml/x bad.yaml --json", 2, "bad.yaml/x", "unreadable-file"),
    "no name": ("$LINT '' bad.yaml --json", 2, "", "unreadable-file"),
    "no memory": ("$LINT /proc/self/mem bad.yaml --json", 2, "/proc/self/mem", "unreadable-file"),
    "link to itself": ("ln -s loop loop; $LINT loop bad.yaml --json", 2, "loop", "unreadable-file"),
    "pipe without a writer": ("mkfifo pipe; $LINT pipe bad.yaml --json", 2, "pipe", "empty-file"),
    "environment missing": ("$LINT bad.yaml --env-file none.env --json", 2, "none.env", "unreadable-file"),
    "beside a missing environment": ("$LINT bad.yaml --env-file none.env --json", 2, "bad.yaml", "unknown-provider"),
    "environment piped": (
        "echo A=b | $LINT bad.yaml --env-file - --json",
        1,
        "bad.yaml",
        "environment-unset",
    ),
    "name with a hyphen": ("mv bad.yaml -- -x.yaml; $LINT --json -- -x.yaml", 1, "-x.yaml", "unknown-provider"),
    "name that is no UTF-8": ("$LINT $(printf '\\xff.yaml') bad.yaml --json", 2, "bad.yaml", "unknown-provider"),
    "ASCII": ("LC_ALL=C PYTHONIOENCODING=ascii $LINT bad.yaml --json", 1, "bad.yaml", "unknown-provider"),
}
"""Script, its exit status, and a finding of it: file and rule."""


@pytest.mark.parametrize("case", _CASES)
def test_json_is_whole_whatever_can_be_read(tmp_path: Path, case: str) -> None:
    script, status, file, rule = _CASES[case]
    done = _shell(script, tmp_path)
    assert (file, rule) in _rules(done)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize(
    "script",
    [
        "$LINT - - < bad.yaml",
        "$LINT - --env-file - < bad.yaml",
        "$LINT bad.yaml > /dev/full",
        "$LINT bad.yaml --json > /dev/full",
        "$LINT bad.yaml >&-",
    ],
    ids=lambda script: script.replace("$LINT", "lint"),
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, script: str) -> None:
    done = _shell(script, tmp_path)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "Traceback" not in line


@pytest.mark.parametrize("name", ["two\nlines.yaml", "\x1b[31mred.yaml"], ids=["line", "colour"])
def test_a_finding_is_one_line_whatever_a_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(_BAD)
    command = [sys.executable, "-m", "roles.lint", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=_PLACE)
    assert done.returncode == 1
    assert all(line.endswith("]") for line in done.stdout.splitlines())
    assert "\x1b" not in done.stdout


def test_standard_input_is_named_by_a_hyphen(tmp_path: Path) -> None:
    done = _shell("$LINT - < bad.yaml", tmp_path)
    assert '\n-:2: error: model "ä": "llama_cpp" is no provider' in done.stdout
