"""Going back: by itself when a deploy does not hold, by hand, and over runs that die on the way.

The tests share a host and go on from one another: what is deployed at the end of each is the small stack.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, Run, ask, deploy, failures, files_changed_by, inventory_file, verdict
from tests.labhost import LabError, LabHost

DIES = "lab_stack(native={'extra_arguments': ['--no-such-flag']})"
"""Its native server does not stay up."""
WRONG_WORDS = "lab_stack(native_says='something that this model never says')"
"""It starts, and its verification fails."""
LARGER = "lab_stack(native={'context_size': 1024})"
"""A change that holds."""
BACK = "rolling back to generation"
"""What a host says when it begins to."""


ANOTHER_MODEL = "lab_stack(native={'model': lab_model('python.gguf')}, native_says=says('python.gguf'))"
"""What the small stack's native server reads is not used by it."""
OTHER_UNITS = """
stack = lab_stack()
dies = LlamaServer(
    name="dies", port=8081, build=LLAMA_CPP, model=lab_model("native.gguf"), served_name="dies",
    extra_arguments=["--no-such-flag"],
)
route = Route(name="tiny-native", deployments=[Deployment(provider="native")], probe=Probe(expects=says("native.gguf")))
update = {"providers": [stack.providers[0], dies], "routes": [route]}
hosts = [lab_host(stack.model_copy(update=update))]
"""
"""One unit that is new and does not stay up, and none of the Python server's."""


@pytest.fixture(scope="module")
def first_run(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> tuple[LabHost, Run]:
    """A host and its first deploy, which does not hold."""
    host = new_module_host("back", prepared=True)
    return host, deploy(host, inventory=changed(tmp_path_factory.mktemp("first"), DIES))


@pytest.fixture(scope="module")
def host(first_run: tuple[LabHost, Run]) -> LabHost:
    """The same host with the small stack."""
    host, _ = first_run
    deploy(host).must_pass()
    return host


def back_to(host: LabHost, generation: str) -> Run:
    return deploy(host, "rollback.py", data={"generation": generation})


def changed(folder: Path, stack: str) -> Path:
    return inventory_file(folder, f"hosts = [lab_host({stack})]")


def active(host: LabHost) -> str:
    return Path(host.run("readlink /etc/ai-backend").stdout.strip()).name


def events(host: LabHost) -> list[dict[str, Any]]:
    return [json.loads(line) for line in host.run("cat /var/lib/ai-backend/history.jsonl").stdout.splitlines()]


def steps(host: LabHost, count: int) -> list[tuple[str, str]]:
    """The last events: what happened, to which generation."""
    return [(event.get("verdict", event["event"]), event["generation"]) for event in events(host)[-count:]]


def is_whole(host: LabHost, generation: str) -> None:
    """The generation is active, answers, and the verification, at any time, is green."""
    assert active(host) == generation
    assert ask(host, "tiny-native") == "This is the native llama server"
    assert deploy(host, "verify.py").must_pass().status == 0
    assert failures(verdict(host)) == []
    assert host.run("ls -d /var/lib/ai-backend/lock", check=False).returncode != 0


def went_back(run: Run, to: str, reason: str) -> None:
    """The run failed, told the reason first and what became of going back second, and nothing but that."""
    assert run.status == 1, run.output
    assert "Traceback" not in run.output
    message = run.output[run.output.rindex("failed: ") :]
    assert message.index(reason) < message.index(f"Generation {to} is active again: ")
    assert "checks pass" in message


def test_a_first_deploy_that_fails_says_that_there_is_nothing_to_go_back_to(first_run: tuple[LabHost, Run]) -> None:
    host, run = first_run
    assert run.status == 1
    assert "Traceback" not in run.output
    reason = run.output.rindex("llama-server@native.service does not stay up")
    assert (
        run.output.index("There is nothing to roll back to: no generation that is kept here has passed before") > reason
    )
    assert host.run("ls /etc/ai-backend/units/").stdout  # it stays, to be looked at


def test_a_unit_that_dies_is_taken_back_and_the_next_good_deploy_works(host: LabHost, tmp_path: Path) -> None:
    before = active(host)
    run = deploy(host, inventory=changed(tmp_path, DIES))
    went_back(run, before, "error: invalid argument: --no-such-flag")
    assert "llama-server@native.service does not stay up" in run.output
    is_whole(host, before)
    assert [step for step, _ in steps(host, 3)] == ["failed", "rolled back", "pass"]
    # The same again: it is tried once more, and the run says what became of it.
    run = deploy(host, inventory=changed(tmp_path, DIES))
    went_back(run, before, "--no-such-flag")
    assert f"as the host has generation {before}, to which" in run.output
    is_whole(host, before)
    deploy(host, inventory=changed(tmp_path, LARGER)).must_pass()
    assert active(host) != before
    deploy(host).must_pass()
    is_whole(host, before)
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_a_route_that_answers_something_else_is_taken_back(host: LabHost, tmp_path: Path) -> None:
    before = active(host)
    run = deploy(host, inventory=changed(tmp_path, WRONG_WORDS))
    went_back(run, before, "route/tiny-native/chat")
    assert run.results()["Activate the generation"] == "Success"
    assert run.results()["Verify every route"] == "Error"
    is_whole(host, before)
    (failed, _), *rest = steps(host, 3)
    assert failed == "fail"
    assert rest == [("rolled back", before), ("pass", before)]


def test_units_of_the_failed_generation_alone_are_gone_and_those_of_the_old_one_back(
    host: LabHost, tmp_path: Path
) -> None:
    before = active(host)
    run = deploy(host, inventory=inventory_file(tmp_path, OTHER_UNITS))
    went_back(run, before, "llama-server@dies.service does not stay up")
    assert "stopping llama-cpp-python@python.service: no longer declared" in run.output
    assert "stopping llama-server@dies.service: no longer declared" in run.output
    assert "@dies" not in host.run("ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants").stdout
    is_whole(host, before)
    assert ask(host, "tiny-python") == "This is the Python llama server"


def test_a_power_cut_while_going_back_is_healed_by_the_next_run(host: LabHost, tmp_path: Path) -> None:
    before = active(host)
    boot = host.boot_id()
    run = deploy(host, inventory=changed(tmp_path, DIES), at=BACK, do=host.cut_power)
    assert run.status != 0
    with contextlib.suppress(LabError):  # it may well boot into what does not hold, and that is a failed unit
        host.boot()
    assert host.boot_id() != boot
    deploy(host).must_pass()
    is_whole(host, before)


def test_a_run_that_is_killed_while_going_back_is_healed_by_the_next_run(host: LabHost, tmp_path: Path) -> None:
    before = active(host)
    assert deploy(host, inventory=changed(tmp_path, WRONG_WORDS), at=BACK).status == -9
    # The host goes on by itself; the next run waits for it, tries again, and is taken back in its turn.
    went_back(deploy(host, inventory=changed(tmp_path, WRONG_WORDS)), before, "route/tiny-native/chat")
    is_whole(host, before)
    deploy(host).must_pass()
    is_whole(host, before)


def test_a_run_that_is_killed_before_its_verification_is_taken_back_by_the_next_one(
    host: LabHost, tmp_path: Path
) -> None:
    before = active(host)
    unverified = changed(tmp_path, WRONG_WORDS)
    assert deploy(host, inventory=unverified, at="Starting operation: Verify every route").status == -9
    assert active(host) != before
    told = deploy(host, "preflight.py", inventory=unverified).must_pass().output
    assert "would verify the generation, which no run has done yet" in told
    went_back(deploy(host, inventory=unverified), before, "route/tiny-native/chat")
    is_whole(host, before)


def test_by_hand_there_and_back(host: LabHost, tmp_path: Path) -> None:
    small = active(host)
    deploy(host, inventory=changed(tmp_path, LARGER)).must_pass()
    larger = active(host)
    run = deploy(host, "rollback.py").must_pass()
    assert "the next deploys/full.py goes forward again" in run.output
    is_whole(host, small)
    assert steps(host, 2) == [("rolled back", small), ("pass", small)]
    # Verifying and looking take what is active for what it is.
    told = deploy(host, "preflight.py", inventory=changed(tmp_path, LARGER)).must_pass().output
    assert f"would activate, as the host has generation {small}, to which" in told
    deploy(host, "history.py").must_pass()
    is_whole(host, small)
    assert back_to(host, larger[:6]).status == 0
    assert active(host) == larger
    deploy(host, inventory=changed(tmp_path, LARGER)).must_pass()
    assert active(host) == larger
    deploy(host).must_pass()
    is_whole(host, small)


def test_history_tells_what_changed_and_how_it_verified_and_changes_nothing(host: LabHost, tmp_path: Path) -> None:
    deploy(host, inventory=changed(tmp_path, LARGER)).must_pass()
    outputs = []
    assert files_changed_by(host, lambda: outputs.append(deploy(host, "history.py").must_pass().output)) == []
    (output,) = outputs
    newest, *_ = re.split(r"\] \d{4}-", output[output.index(active(host)) :])
    assert " ACTIVE\n" in newest
    assert re.search(r"verdict pass: (\d+) of \1 checks pass", newest)
    assert "llama-server@native.service: --ctx-size 0 → 1024" in newest
    assert "did not come up: llama-server@native.service does not stay up" in output
    assert "llama-server@native.service: --no-such-flag added" in output
    assert re.search(r"verdict fail: \d+ of \d+ checks fail", output)
    deploy(host).must_pass()


def test_going_back_to_what_is_not_there_or_not_whole_is_refused(host: LabHost, tmp_path: Path) -> None:
    small = active(host)
    run = back_to(host, "no-such")
    assert run.status == 1
    assert 'no generation that is kept begins with "no-such"; there are: ' in run.output
    assert f"{small} (active)" in run.output
    assert "Traceback" not in run.output
    deploy(host, inventory=changed(tmp_path, ANOTHER_MODEL)).must_pass()
    other = active(host)
    model = host.run("readlink /etc/ai-backend-generations/" + small + "/install/model-native.gguf*").stdout.strip()
    host.run(f"mv {model} {model}.away")
    for run in (back_to(host, small), deploy(host, "rollback.py")):
        assert run.status == 1
        assert f"generation {small} cannot be activated: of its installs model-native.gguf" in run.output
        assert "are gone. Deploy the inventory that it was made from instead" in run.output
        assert "Traceback" not in run.output
    assert "cannot be activated: model-native.gguf" in deploy(host, "history.py").must_pass().output
    assert active(host) == other
    assert failures(verdict(host)) == []
    host.run(f"mv {model}.away {model}")
    back_to(host, small).must_pass()
    is_whole(host, small)
