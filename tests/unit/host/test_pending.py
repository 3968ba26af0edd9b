"""What is still to do on a host, told from what is wanted and what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.pending import Pending, pending_steps, unmet_needs, unused_installs
from roles.litellm import LiteLLM
from roles.options import Gpus, Stack
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import CUDA_BUILD, PLATFORM, converged_state, native, python, small_stack, user_scope

NATIVE = "llama-server@native.service"
GATEWAY = "litellm@a.service"


def pending_after(change: Callable[[dict[str, Any]], None], stack: Stack | None = None) -> Pending:
    """What is pending on a converged host after a change to what was read of it."""
    plan = plan_of(stack or small_stack())
    generation = resolve(plan, PLATFORM)
    found = converged_state(plan, generation)
    change(found)
    return pending_steps(plan, generation, read(HostState, found))


def needs_after(change: Callable[[dict[str, Any]], None], stack: Stack | None = None) -> list[str]:
    plan = plan_of(stack or small_stack())
    generation = resolve(plan, PLATFORM, reveal=lambda _: "x" * 20)
    found = converged_state(plan, generation)
    change(found)
    return unmet_needs(plan, generation, read(HostState, found))


def test_nothing_is_pending_on_a_converged_host() -> None:
    assert not pending_after(lambda read: None).anything
    assert needs_after(lambda read: None) == []


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(read: dict[str, Any]) -> None:
        *parents, last = path.split("|")
        for parent in parents:
            read = read[parent]
        read[last] = value

    return change


@pytest.mark.parametrize(
    ("what", "change", "reason"),
    [
        ("a unit runs something older", _set(f"units|{NATIVE}|running_digest", "0ld"), f"{NATIVE} runs 0ld"),
        ("a unit does not run", _set(f"units|{NATIVE}|running_digest", ""), f"{NATIVE} is not running"),
        ("a unit's file was changed under systemd", _set(f"units|{NATIVE}|needs_reload", True), "older file"),
        ("an upgrade came", _set(f"units|{NATIVE}|outdated", True), f"{NATIVE} runs from files that were replaced"),
        ("a unit does not start at boot", _set("wanted_links", []), "does not start at boot"),
        ("a unit is not linked", _set("linked_units", []), "is not there"),
        ("a run died before its end", _set("activated", None), "not activated to its end"),
        ("another generation is current", _set("generation", "0ther"), "has generation 0ther"),
        ("an undeclared unit is left", lambda found: found["linked_units"].append("old.service"), "no longer declared"),
    ],
)
def test_a_deviation_is_a_reason_to_activate(what: str, change: Callable[[dict[str, Any]], None], reason: str) -> None:
    reasons = pending_after(change).activate
    assert any(reason in given for given in reasons), reasons


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("an edited file", lambda found: found["files"].__setitem__("litellm-unified.yaml", ["0" * 64, 0o644, 0])),
        ("a file of another mode", lambda found: found["files"]["providers.yaml"].__setitem__(1, 0o666)),
        ("a file of another owner", lambda found: found["files"]["providers.yaml"].__setitem__(2, 1000)),
        ("a lost file", lambda found: found["files"].pop("providers.yaml")),
        ("a file too many", lambda found: found["files"].__setitem__("units/x.service", ["0" * 64, 0o644, 0])),
        ("a link that leads elsewhere", lambda found: found["files"]["install/litellm"].__setitem__(0, "/tmp/x")),
        ("no generated secret", lambda read: read.__setitem__("secrets", [])),
    ],
)
def test_a_changed_generation_is_written_again(what: str, change: Callable[[dict[str, Any]], None]) -> None:
    assert pending_after(change).write_generation


def test_a_missing_install_is_made_once_though_two_names_lead_to_it() -> None:
    pending = pending_after(lambda read: read.__setitem__("installs", []))
    folders = [install.folder for install in pending.installs]
    assert len(folders) == len(set(folders))
    assert [install.install.kind for install in pending.installs].count("model") == 1  # both serve the same file


def test_only_what_nobody_uses_is_unused() -> None:
    plan = plan_of(small_stack())
    generation = resolve(plan, PLATFORM)
    found = converged_state(plan, generation)
    found["installs"] += ["/opt/ai-backend/python-env/of-the-generation-before", "/var/lib/ai-backend/models/0ld"]
    found["used_installs"] = ["/opt/ai-backend/python-env/of-the-generation-before"]  # and not yet those wanted now
    assert unused_installs(generation, read(HostState, found)) == ("/var/lib/ai-backend/models/0ld",)


def test_in_user_scope_lingering_is_part_of_the_job() -> None:
    stack = small_stack(scope=user_scope())
    pending = pending_after(_set("lingers", False), stack)
    assert pending.linger
    assert pending.prepare


@pytest.mark.parametrize(
    ("what", "change", "stack", "told"),
    [
        ("a foreign process on a port", _set("ports|8080", ["nginx.service"]), None, "port 8080"),
        ("not root", _set("user", "bob"), None, "connect as root"),
        ("another user", _set("user", "bob"), small_stack(scope=user_scope()), "connect as alice"),
        ("another home", _set("home", "/srv/alice"), small_stack(scope=user_scope()), "set `home`"),
        (
            "missing packages without root",
            _set("missing_packages", ["cmake"]),
            small_stack(scope=user_scope()),
            "ask an administrator to run `apt-get install cmake`",
        ),
        ("no systemd", _set("systemd", None), None, "systemd does not answer"),
        (
            "a full disk",
            lambda found: found.update(
                installs=[], disks={each: {"device": 1, "free": 10**9} for each in found["disks"]}
            ),
            None,
            "/opt/ai-backend and /var/cache/ai-backend need 2170 MB for what is to be installed, and 1000 MB are free",
        ),
    ],
)
def test_what_a_deploy_can_not_fix_is_told_before_it_begins(
    what: str, change: Callable[[dict[str, Any]], None], stack: Stack | None, told: str
) -> None:
    needs = needs_after(change, stack)
    assert len(needs) == 1
    assert told in needs[0]


CARD = "GPU-0a1b2c3d-0000-1111-2222-333344445555"
CARDS = {CARD: "NVIDIA L4"}


@pytest.mark.parametrize(
    ("gpus", "uuids", "told"),
    [
        ({"vendor": None, "cards": {}, "problem": None}, [], "needs an NVIDIA GPU: no such card and driver is found"),
        (
            {"vendor": "nvidia", "cards": CARDS, "problem": "driver and library differ: reboot"},
            [],
            "needs an NVIDIA GPU: driver and library differ: reboot",
        ),
        ({"vendor": "amd", "cards": {}, "problem": None}, [], "needs an NVIDIA GPU: no such card and driver is found"),
        (
            {"vendor": "nvidia", "cards": CARDS, "problem": None},
            ["GPU-ffffffff-0000-1111-2222-333344445555"],
            f"no GPU GPU-ffffffff-0000-1111-2222-333344445555 (it has {CARD}): fix `uuids`",
        ),
    ],
)
def test_a_gpu_that_is_declared_and_not_there_is_told(gpus: dict[str, Any], uuids: list[str], told: str) -> None:
    stack = small_stack(providers=[native(build=CUDA_BUILD, gpus=Gpus(uuids=uuids)), python()])
    (need,) = needs_after(lambda read: read.update(gpus=gpus), stack)
    assert told in need


def test_a_host_without_the_declared_gpu_is_fine_when_nothing_needs_one() -> None:
    assert needs_after(lambda read: None, small_stack()) == []


TWO = small_stack(gateway=LiteLLM(instances=2))


@pytest.mark.parametrize(
    ("what", "change", "stack", "staged"),
    [
        ("nothing", lambda read: None, small_stack(), False),
        ("a provider runs something older", _set(f"units|{NATIVE}|running_digest", "0ld"), small_stack(), False),
        (
            "the gateway runs something older",
            _set("units|litellm@a.service|running_digest", "0ld"),
            small_stack(),
            True,
        ),
        ("one of two runs something older", _set("units|litellm@a.service|running_digest", "0ld"), TWO, True),
        ("the gateway does not run", _set("units|litellm@a.service|running_digest", ""), small_stack(), False),
        ("one of two does not run", _set("units|litellm@b.service|running_digest", ""), TWO, True),
    ],
)
def test_a_new_gateway_is_tried_out_where_one_answers(
    what: str, change: Callable[[dict[str, Any]], None], stack: Stack, staged: bool
) -> None:
    assert pending_after(change, stack).stage is staged


def test_a_gateway_that_takes_the_place_of_the_one_process_of_older_versions_is_tried_out_too() -> None:
    def one_instance_before(read: dict[str, Any]) -> None:
        units = read["units"]
        units["litellm.service"] = {**units["litellm@a.service"], "running_digest": "0ld"}
        for name in ("litellm@a.service", "litellm@b.service", "ai-backend-front.service"):
            units[name] = {**units[name], "running_digest": ""}

    assert pending_after(one_instance_before, TWO).stage


def test_on_a_fresh_host_there_is_nothing_to_try_a_gateway_out_for() -> None:
    assert not pending_after(_set("units", {})).stage
