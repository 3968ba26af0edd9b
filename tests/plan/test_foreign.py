"""What a run sends to a host on which others have put something in the way, told by pyinfra's fake connector."""

from __future__ import annotations

from pathlib import Path

from tests.plan.fake import passing_verdict, run_pyinfra

PASS = f"verdict={passing_verdict()!r}"
NATIVE = "llama-server@native.service"
THEIRS = (
    "lambda read: (read['linked_units'].remove('llama-server@native.service'), read.update(foreign={'units': ["
    "{'name': 'llama-server@native.service', 'active': True, 'files': [{'path': '/etc/x/u', 'owner': 'bob'}]}]}))"
)
HOSTS = f"hosts = [fake('box', small_stack(), {THEIRS}, {PASS})]"
TAKE_OVER = ["--data", f"take_over={NATIVE}"]


def test_what_is_not_ours_ends_a_run_before_its_first_change(tmp_path: Path) -> None:
    for deploy in ("full.py", "prepare.py", "preflight.py"):
        run = run_pyinfra(tmp_path, HOSTS, deploy)
        assert run.status == 1
        assert run.programs() == ["fact"]
        assert f"{NATIVE} is there and is not ours: /etc/x/u (bob's), is running" in run.output
        assert f"`--data take_over={NATIVE}`" in run.output


def test_what_is_named_is_taken_over_as_the_generation_is_activated(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, HOSTS, options=TAKE_OVER)
    assert run.status == 0, run.output
    assert run.steps() == ["deploy_lock", "forward", "verify", "record", "deploy_lock"]
    assert f"activating, as {NATIVE} is taken over" in run.output


def test_preflight_says_what_would_be_taken_over(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, HOSTS, "preflight.py", options=TAKE_OVER)
    assert run.status == 0, run.output
    assert run.programs() == ["fact"]
    assert f"would take over {NATIVE}: stop it, and move its files to /etc/ai-backend-taken-over" in run.output


def test_a_host_where_nothing_of_that_name_is_needs_nothing(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {PASS})]", options=TAKE_OVER)
    assert run.status == 0, run.output
    assert run.steps() == ["verify"]


def test_going_back_to_before_the_first_generation_leaves_the_host_and_verifies_nothing(tmp_path: Path) -> None:
    hosts = "hosts = [fake('box', small_stack())]"
    run = run_pyinfra(tmp_path, hosts, "rollback.py", options=["--data", "generation=none"])
    assert run.status == 0, run.output
    assert run.steps() == ["deploy_lock", "leave", "deploy_lock"]
    assert "the next deploys/full.py goes forward again" in run.output


def test_a_host_that_this_is_not_made_for_is_named(tmp_path: Path) -> None:
    fedora = "lambda read: (read['platform'].update(os='fedora-43'), read.update(system={'name': 'Fedora Linux 43'}))"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {fedora})]")
    assert run.status == 1
    assert run.programs() == ["fact"]
    assert "it runs Fedora Linux 43, and this needs Debian 12 or 13, or Ubuntu 24.04" in run.output


def test_a_host_whose_python_is_too_old_is_named(tmp_path: Path) -> None:
    said = "old-python 3.10.12 Ubuntu 22.04.5 LTS"
    host = f"('@fake/box', {{'stack': small_stack(), 'fake_delay': 0, 'fake_responses': {{'': {said!r}}}}})"
    run = run_pyinfra(tmp_path, f"hosts = [{host}]")
    assert run.status == 1
    assert "its python3 is 3.10.12 (Ubuntu 22.04.5 LTS); 3.11 or newer is needed: take Debian 12" in run.output
    assert "Traceback" not in run.output
