"""What `deploys/full.py` sends to a host, told by pyinfra's fake connector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roles.host.holder import who_runs_this
from tests.plan.fake import OLDER, passing_verdict, run_pyinfra

PASS = f"verdict={passing_verdict()!r}"
ACTIVATED = ["deploy_lock", "stage", "forward", "verify", "record", "deploy_lock"]
"""The steps where the gateway runs something older."""


def test_a_converged_host_gets_two_reads_and_nothing_else(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {PASS})]")
    assert run.status == 0, run.output
    assert run.programs() == ["fact", "verify"]
    assert run.output.count("No changes") == 8
    assert "Success" not in run.output.split("Results")[0]


def test_each_of_several_hosts_gets_what_it_needs(tmp_path: Path) -> None:
    hosts = f"fake('one', small_stack(), {PASS}), fake('two', small_stack(), {OLDER}, {PASS})"
    run = run_pyinfra(tmp_path, f"hosts = [{hosts}]")
    assert run.status == 0, run.output
    assert run.programs("@fake/one") == ["fact", "verify"]
    assert run.steps("@fake/two") == ACTIVATED


def test_a_fresh_host_gets_every_step_once_and_in_order(tmp_path: Path) -> None:
    fresh = (
        "lambda read: read.update(generation=None, files={}, installs=[], secrets=[], activated=None, linked_units=[],"
        " wanted_links=[], units={}, build_user=False, missing_packages=['cmake'], ports={})"
    )
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {fresh}, {PASS})]")
    assert run.status == 0, run.output
    assert run.steps() == [
        "deploy_lock",
        "system",
        *["install"] * 7,
        "write",
        "forward",
        "verify",
        "record",
        "deploy_lock",
    ]


def test_a_host_that_runs_something_older_is_only_activated(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {OLDER}, {PASS})]")
    assert run.steps() == ACTIVATED
    assert "activating, as litellm@a.service runs 0lder" in run.output


@pytest.mark.parametrize(
    ("holder", "steps"),
    [
        pytest.param(
            "{{'id': 'x', 'who': {me!r}, 'since': '', 'pid': '4194305'}}",
            ["deploy_lock", "verify", "deploy_lock"],
            id="dead",
        ),
        pytest.param("{{}}", ["deploy_lock", "verify", "deploy_lock"], id="nobody"),
        pytest.param("{{'id': 'x', 'who': 'anna@elsewhere', 'since': '', 'pid': '1'}}", ["verify"], id="another's"),
    ],
)
def test_a_lock_that_a_dead_run_left_is_given_back_by_a_run_with_nothing_else_to_do(
    tmp_path: Path, holder: str, steps: list[str]
) -> None:
    # A process's number is at most 4194304 (PID_MAX_LIMIT of Linux).
    left = f"lambda read: read.update(lock={holder.format(me=who_runs_this())})"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {left}, {PASS})]")
    assert run.status == 0, run.output
    assert run.steps() == steps


def test_what_stays_open_in_user_scope_is_said_before_a_deploy(tmp_path: Path) -> None:
    read = "lambda read: read.update(user='alice', home='/home/alice', lingers=True)"
    stack = "small_stack(scope=UserScope(user='alice'))"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', {stack}, {read})]", "preflight.py")
    assert run.status == 0, run.output
    (warning,) = re.findall(r"warning: (\S+) asks for no login, .* port (\d+) .* open to them", run.output)
    assert warning == ("litellm@a.service", "4001")
    run = run_pyinfra(tmp_path, "hosts = [fake('box', small_stack())]", "preflight.py")
    assert "warning" not in run.output


def test_preparing_makes_what_is_missing_and_switches_to_nothing(tmp_path: Path) -> None:
    fresh = "lambda read: read.update(generation=None, files={}, installs=[], missing_packages=['g++'])"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {fresh})]", "prepare.py")
    assert run.status == 0, run.output
    first, second, *steps, last = run.steps()
    assert (first, second, last) == ("deploy_lock", "system", "deploy_lock")
    assert set(steps) == {"install"}
    # What is left to do is none of its business.
    other = "lambda read: read.update(generation=None, files={})"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {other})]", "prepare.py")
    assert run.programs() == ["fact"]


def test_pruning_names_the_unused_folders_and_nothing_else(tmp_path: Path) -> None:
    unused = "lambda read: read['installs'].append('/var/lib/ai-backend/models/0ld')"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {unused})]", "prune.py")
    assert run.steps() == ["deploy_lock", "prune", "deploy_lock"]
    run = run_pyinfra(tmp_path, "hosts = [fake('box', small_stack())]", "prune.py")
    assert run.programs() == ["fact"]


def test_a_check_that_does_not_hold_fails_the_run_and_names_it(tmp_path: Path) -> None:
    verdict = passing_verdict(ok=False, seen="n alone; p is missing")
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), verdict={verdict!r})]", "verify.py")
    assert run.status == 1
    assert "p is missing" in run.output
    assert "1 of 1 checks fail" in run.output
    assert "Traceback" not in run.output


def test_an_answer_that_is_no_verdict_fails_the_run(tmp_path: Path) -> None:
    for verdict in ("None", "'Welcome to box!'", "'{}'", "'[1]'"):
        run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), verdict={verdict})]", "verify.py")
        assert run.status == 1
        assert "gave no verdict" in run.output
        assert "Traceback" not in run.output


def test_no_secret_shows_in_what_is_sent_or_printed(tmp_path: Path) -> None:
    secret = "sk-0123456789-never-to-be-seen"
    fresh = "lambda read: read.update(generation=None, files={})"
    stack = "small_stack(gateway=LiteLLM(master_key=EnvSecret('THE_KEY')))"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', {stack}, {fresh}, {PASS})]", THE_KEY=secret)
    assert "write" in run.programs()
    assert secret not in run.output


def test_what_is_in_the_way_is_told_before_anything_is_sent_but_the_fact(tmp_path: Path) -> None:
    busy = "lambda read: read['ports'].update({'8080': [{'process': 'nginx', 'unit': 'nginx.service'}]})"
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {busy})]")
    assert run.status == 1
    assert run.programs() == ["fact"]
    assert "port 8080, which llama-server@native.service needs, is taken by nginx.service" in run.output


def test_a_host_without_python_is_told_what_it_lacks(tmp_path: Path) -> None:
    inventory = (
        "hosts = [('@fake/box', {'stack': small_stack(), 'fake_delay': 0, 'fake_responses': {'': 'no-python'}})]"
    )
    run = run_pyinfra(tmp_path, inventory)
    assert run.status == 1
    assert "this host has no python3, which everything here needs: install the package python3" in run.output
    assert "Traceback" not in run.output
    assert run.programs() == ["fact"]


BAD_INVENTORIES = {
    "unknown option": (
        "hosts = [fake('box', small_stack(gateway=LiteLLM(prot=4000)))]",
        'unknown option "prot"; did you mean "port"?',
    ),
    "wrong type": (
        "hosts = [fake('box', small_stack(gateway=LiteLLM(port='4000')))]",
        'give a whole number, not "4000"',
    ),
    "one port twice": (
        "hosts = [fake('box', small_stack(providers=[native(), python(port=8080)]))]",
        "both listen on port 8080",
    ),
    "alias cycle": ("hosts = [fake('box', small_stack(aliases={'a': 'b', 'b': 'a'}))]", "alias cycle: a -> b -> a"),
    "fallback to nowhere": (
        "hosts = [fake('box', small_stack(routes=[route('n', 'native', fallbacks=['x'])], aliases={}))]",
        'falls back to "x", which is no public name',
    ),
    "duplicate public name": (
        "hosts = [fake('box', small_stack(routes=[route('n', 'native'), route('n', 'python')]))]",
        'duplicate public name "n"',
    ),
    "missing secret": (
        "_good = fake('box', small_stack())\n"
        "bad = small_stack(gateway=LiteLLM(master_key=EnvSecret('SURELY_NOT_SET')))\n"
        "hosts = [_good, ('@fake/other', {**_good[1], 'stack': bad})]",
        'host "@fake/other": missing secret: environment variable SURELY_NOT_SET is not set',
    ),
    "host without a stack": (
        "_good = fake('box', small_stack())\nhosts = [_good, ('@fake/other', {'fake_delay': 0})]",
        'host "@fake/other" in the inventory has no `stack`',
    ),
    "a stack that is none": (
        "hosts = [('@fake/box', {'stack': {'providers': []}, 'fake_delay': 0})]",
        "has a `stack` that is a dict",
    ),
}


@pytest.mark.parametrize("mistake", BAD_INVENTORIES)
@pytest.mark.parametrize("deploy", ["full.py", "verify.py"])
def test_bad_input_ends_in_one_message_and_sends_no_host_a_command(tmp_path: Path, mistake: str, deploy: str) -> None:
    inventory, message = BAD_INVENTORIES[mistake]
    run = run_pyinfra(tmp_path, inventory, deploy)
    assert run.status != 0
    assert run.output.count(message) == 1, run.output
    assert "Traceback" not in run.output
    assert run.commands == ()
