"""What moves is deployed with a lock, or on request; otherwise the run ends before any host hears of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish
from tests.labhost.models import write_tiny_gguf
from tests.labhost.paths import REPOSITORY
from tests.plan.fake import PREAMBLE, passing_verdict, run_pyinfra

_STACK = """
from roles.lock import lock_file, read_lock_file

model = HubFile(endpoint="{url}", repository="org/m", revision="main", file="m.gguf")
stack = small_stack(providers=[native(model=model), python(model=model)])
lock = read_lock_file(lock_file(Path(__file__)))
hosts = [fake("box", stack, verdict={verdict!r}, lock=lock, unlocked=False)]
"""


@pytest.mark.parametrize("deploy", ["full.py", "preflight.py", "prepare.py"])
def test_without_a_lock_what_moves_is_refused_with_the_command_that_pins_it(tmp_path: Path, deploy: str) -> None:
    text = _STACK.format(url="http://127.0.0.1:1", verdict=passing_verdict())
    run = run_pyinfra(tmp_path, text, deploy)
    assert run.status == 1
    assert run.commands == ()
    assert "http://127.0.0.1:1/org/m@main: tomorrow it may be something else" in run.output
    assert f"run `python deploys/lock.py {tmp_path / 'inventory.py'}`" in " ".join(run.output.split())
    assert "Traceback" not in run.output
    allowed = run_pyinfra(tmp_path, text, deploy, options=("--data", "unlocked=yes"))
    assert allowed.status == 0, allowed.output


def test_a_lock_that_does_not_say_everything_is_obeyed_and_said(tmp_path: Path) -> None:
    text = _STACK.format(url="http://127.0.0.1:1", verdict=passing_verdict())
    lock = tmp_path / "inventory.lock"
    entry = f"{{commit: {'b' * 40}, patterns: [m.gguf]}}"
    lock.write_text(f"version: 1\nhub: {{'http://127.0.0.1:1/org/m@main': {entry}}}\n")
    run = run_pyinfra(tmp_path, text, "preflight.py")
    assert run.status == 0, run.output
    words = " ".join(run.output.split())
    assert f"{lock} does not say everything yet, and a deploy does not need it: http://127.0.0.1:1/org/m@main" in words
    assert "(its files' digests and its facts); run `python deploys/lock.py" in words


def test_a_verification_needs_no_lock(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, _STACK.format(url="http://127.0.0.1:1", verdict=passing_verdict()), "verify.py")
    assert run.status == 0, run.output


def test_a_host_that_was_deployed_from_a_lock_is_up_to_date_once_the_branch_has_moved(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    with FaultyMirror(folder, "127.0.0.1") as mirror:
        inventory, text = tmp_path / "inventory.py", _STACK.format(url=mirror.url, verdict=passing_verdict())
        inventory.write_text(PREAMBLE + text)
        for day in ("first", "next"):
            write_tiny_gguf(folder / "m.gguf", says=f"the {day} day", name="m")
            publish(folder, "org/m", {"m.gguf": (folder / "m.gguf").read_bytes()})
            if day == "first":
                command = [sys.executable, str(REPOSITORY / "deploys/lock.py"), str(inventory)]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
                assert done.returncode == 0, done.stderr
        run = run_pyinfra(tmp_path, text)
        assert run.status == 0, run.output
        assert run.programs() == ["fact", "verify"]


def test_a_damaged_lock_ends_the_run_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "inventory.lock").write_text("hub: [")
    run = run_pyinfra(tmp_path, "hosts = [fake('box', small_stack())]")
    assert run.status == 1
    assert "inventory.lock is damaged, or was edited by hand (it is no YAML, line 1)" in " ".join(run.output.split())
    assert run.commands == ()
    assert "Traceback" not in run.output


def test_the_lock_is_not_made_over_connections(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, "hosts = [fake('box', small_stack())]", "lock.py")
    assert run.status == 1
    assert "run `python deploys/lock.py INVENTORY`" in " ".join(run.output.split())
    assert run.commands == ()
