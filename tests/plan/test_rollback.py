"""What going back sends to a host, told by pyinfra's fake connector."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.fake import OLDER, passing_verdict, run_pyinfra

PASS = f"verdict={passing_verdict()!r}"
FAIL = f"verdict={passing_verdict(ok=False, seen='n alone')!r}"
UNPROVED = "lambda read: read.update(verified=False)"
_PICTURE = {"id": "route/n/apis/picture", "ok": False, "seen": "status 500", "code": "bad-status"}
NO_PICTURE = f"verdict={passing_verdict(_PICTURE)!r}"
"""A route does not do what client programs ask."""
OTHER = f"lambda read: (read.update(generation='0ld'), ({OLDER})(read))"
"""What makes a converged host one with another generation, whose gateway is another."""
HISTORY = """
def history(active):
    def entry(name):
        empty = {"files": {}, "installs": {}, "missing_installs": []}
        return {"name": name, "written": "2026-11-24T11:00:00+00:00", **empty}
    def deployed(name, minute):
        common = {"time": f"2026-11-24T12:0{minute}:00+00:00", "generation": name, "who": "alice@desk"}
        verdict = {"event": "verified", "verdict": "pass", "summary": "24 of 24 checks pass"}
        return [{"event": "activated", **common}, {**common, **verdict}]
    events = [*deployed("0ld", 1), *deployed(active, 2)]
    return {"active": active, "generations": [entry("0ld"), entry(active)], "texts": {}, "events": events}
"""


def test_what_was_activated_and_does_not_hold_is_taken_back(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {OLDER}, {FAIL})]")
    assert run.steps() == ["deploy_lock", "stage", "forward", "verify", "rollback", "deploy_lock"]


def test_what_held_before_and_was_not_touched_is_only_told(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {FAIL})]")
    assert run.status == 1
    assert run.steps() == ["verify"]


def test_a_verification_that_an_earlier_run_owed_is_made_and_written_down(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {UNPROVED}, {PASS})]")
    assert run.status == 0, run.output
    assert run.steps() == ["deploy_lock", "verify", "record", "deploy_lock"]
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {UNPROVED}, {FAIL})]")
    assert run.steps() == ["deploy_lock", "verify", "rollback", "deploy_lock"]


@pytest.mark.parametrize(
    ("before", "steps"),
    [
        pytest.param({}, ["failed apis", "rollback"], id="never asked"),
        pytest.param({"0ld": {}}, ["failed apis", "rollback"], id="nothing failed"),
        pytest.param({"0ld": {_PICTURE["id"]: "empty-answer"}}, ["failed apis", "rollback"], id="failed otherwise"),
        pytest.param({"0lder": {_PICTURE["id"]: "bad-status"}}, ["failed apis", "rollback"], id="an older one"),
        pytest.param({"0ld": {_PICTURE["id"]: "bad-status"}}, ["failed apis", "record"], id="failed the same"),
    ],
)
def test_what_clients_got_before_the_change_and_not_after_it_is_a_reason_to_go_back(
    tmp_path: Path, before: dict[str, dict[str, str]], steps: list[str]
) -> None:
    changed = f"small_stack(), {OTHER}, {NO_PICTURE}, history=history, apis={before!r}"
    run = run_pyinfra(tmp_path, f"{HISTORY}hosts = [fake('box', {changed})]")
    assert run.status == 1, "it is told in any case"
    assert run.steps() == ["history", "deploy_lock", "write", "stage", "forward", "verify", *steps, "deploy_lock"]


@pytest.mark.parametrize(
    ("stack", "change", "asked"),
    [
        pytest.param("small_stack()", OTHER, True, id="another gateway"),
        pytest.param("small_stack()", UNPROVED, True, id="an earlier run died"),
        pytest.param("small_stack()", "lambda read: None", False, id="nothing"),
        pytest.param("small_stack()", "lambda read: read.update(generation='0ld')", False, id="no server"),
        pytest.param(
            "small_stack(verification=Verification(apis='on-demand'))", OTHER, False, id="another gateway, on demand"
        ),
    ],
)
def test_a_deploy_that_changes_a_server_asks_as_client_programs_ask(
    tmp_path: Path, stack: str, change: str, asked: bool
) -> None:
    run = run_pyinfra(tmp_path, f"{HISTORY}hosts = [fake('box', {stack}, {change}, {PASS}, history=history)]")
    assert run.status == 0, run.output
    (command,) = [command for _, command in run.commands if "bin/verify" in command]
    assert ("--apis=60" in command) == asked


def test_going_back_by_hand_asks_the_usual_only(tmp_path: Path) -> None:
    """An older verifier may not know what else there is."""
    inventory = f"{HISTORY}hosts = [fake('box', small_stack(), {PASS}, history=history)]"
    run = run_pyinfra(tmp_path, inventory, "rollback.py")
    assert [command for _, command in run.commands if "bin/verify" in command and "--apis" in command] == []


def test_verifying_alone_writes_nothing_down_and_takes_nothing_back(tmp_path: Path) -> None:
    for verdict in (PASS, FAIL):
        run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {UNPROVED}, {verdict})]", "verify.py")
        assert run.steps() == ["kept verdicts", "verify"]


def test_going_back_by_hand_activates_verifies_and_says_what_comes_next(tmp_path: Path) -> None:
    run = run_pyinfra(
        tmp_path, f"{HISTORY}hosts = [fake('box', small_stack(), {PASS}, history=history)]", "rollback.py"
    )
    assert run.status == 0, run.output
    assert run.steps() == ["history", "deploy_lock", "forward", "verify", "record", "deploy_lock"]
    assert "the next deploys/full.py goes forward again, to what the inventory says" in run.output


def test_going_back_to_an_unknown_generation_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    inventory = f"{HISTORY}hosts = [fake('box', small_stack(), {PASS}, history=history)]"
    run = run_pyinfra(tmp_path, inventory, "rollback.py", options=["--data", "generation=no-such"])
    assert run.status == 1
    assert run.steps() == ["history"]
    assert 'no generation that is kept begins with "no-such"; there are: ' in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("name", ["000123", "12e456"])
def test_a_generation_whose_name_looks_like_a_number_is_found_by_it(name: str, tmp_path: Path) -> None:
    inventory = f"{HISTORY.replace('0ld', name)}hosts = [fake('box', small_stack(), {PASS}, history=history)]"
    run = run_pyinfra(tmp_path, inventory, "rollback.py", options=["--data", f"generation={name}"])
    assert run.status == 0, run.output
    assert f"rolling back to generation {name}" in run.output or "forward" in run.steps()


def test_a_value_that_the_deploy_does_not_read_is_refused_before_any_host_gets_a_command(tmp_path: Path) -> None:
    inventory = "hosts = [fake('box', small_stack())]"
    run = run_pyinfra(tmp_path, inventory, "reboot.py", options=["--data", "at_onec=no"])
    assert (run.status, run.commands) == (1, ())
    assert 'nothing reads "at_onec"; did you mean "at_once"?' in run.output
    assert "Traceback" not in run.output
    run = run_pyinfra(tmp_path, inventory, "rollback.py", options=["--data", "generation="])
    assert (run.status, run.commands) == (1, ())
    assert "`generation` is to be the name of a generation, or its beginning, not ''" in run.output


def test_the_history_is_one_read_and_no_operation(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{HISTORY}hosts = [fake('box', small_stack(), history=history)]", "history.py")
    assert run.status == 0, run.output
    assert run.programs() == ["history"]
    newer, older = (
        run.output.index("2026-11-24T12:02:00"),
        run.output.index("2026-11-24T12:01:00+00:00  0ld  by alice@desk"),
    )
    assert newer < older
    assert "ACTIVE" in run.output[newer:older]
    assert "verdict pass: 24 of 24 checks pass" in run.output


def test_a_host_that_was_taken_back_is_told_so_when_it_goes_forward_again(tmp_path: Path) -> None:
    back = (
        "lambda read: read.update(last_event={'event': 'rolled back', 'from': read['generation'], 'who': 'carol@desk',"
        " 'time': 'noon', 'reason': 'by hand'}, generation='0ld')"
    )
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), {back}, {PASS})]", "preflight.py")
    assert "the host has generation 0ld, to which carol@desk went back from this one at noon (by hand)" in run.output
