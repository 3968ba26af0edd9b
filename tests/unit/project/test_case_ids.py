"""A case without a readable id is refused when tests are collected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.case_ids import unreadable
from tests.labhost.paths import REPOSITORY


@pytest.mark.parametrize("case", ["two words", "option-7", "None-20", "gpu0-False", "a" * 60])
def test_plain_words_and_numbers_are_readable(case: str) -> None:
    assert unreadable(case, ["option", "gpus"]) is None


@pytest.mark.parametrize(
    ("case", "why"),
    [
        pytest.param("options0", "pytest made up `options0`", id="made up"),
        pytest.param("cuda-options12-True", "pytest made up `options12`", id="made up in part"),
        pytest.param("1-<lambda>", "it shows a Python object", id="a lambda"),
        pytest.param("<tests.Gpu object at 0x7f>", "it shows a Python object", id="an object"),
        pytest.param("one\\ntwo", "it has an escape", id="two lines"),
        pytest.param("a" * 61, "it has more than 60 characters", id="a long text"),
    ],
)
def test_what_nobody_can_read_is_told(case: str, why: str) -> None:
    assert unreadable(case, ["backend", "options"]) == why


def test_a_test_with_such_a_case_is_not_collected(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('options', [{'port': 1}, pytest.param({'port': 2}, id='another port')])\n"
        "def test_x(options): ...\n"
        "@pytest.mark.parametrize('port', [1, 2])\n"
        "def test_y(port): ...\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", f"--rootdir={tmp_path}", str(tmp_path)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "test_x[options0]: pytest made up `options0`; give the case an id in plain words" in run.stdout
    assert "another port" not in run.stdout
    assert "test_y" not in run.stdout
    assert run.returncode == pytest.ExitCode.INTERRUPTED
