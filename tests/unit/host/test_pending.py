"""What is still to do on a host, told from what is wanted and what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.pending import Pending, pending_steps, unmet_needs, unused_installs
from roles.litellm import LiteLLM, Tls
from roles.llama_cpp import LlamaCppRelease
from roles.ollama import Ollama, OllamaRelease
from roles.options import Gpus, Stack
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import CUDA_BUILD, PLATFORM, converged_state, native, python, route, small_stack, user_scope

NATIVE = "llama-server@native.service"
GATEWAY = "litellm@a.service"
NGINX = [{"process": "nginx", "pid": 612, "user": "www-data", "unit": "nginx.service"}]
WITH_TLS = small_stack(gateway=LiteLLM(tls=Tls(certificate="/etc/a.pem", key="/etc/a.key", server_name="ai")))


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
    ("change", "reason"),
    [
        pytest.param(
            _set(f"units|{NATIVE}|running_digest", "0ld"), f"{NATIVE} runs 0ld", id="a unit runs something older"
        ),
        pytest.param(_set(f"units|{NATIVE}|running_digest", ""), f"{NATIVE} is not running", id="a unit does not run"),
        pytest.param(
            _set(f"units|{NATIVE}|needs_reload", True), "older file", id="a unit's file was changed under systemd"
        ),
        pytest.param(
            _set(f"units|{NATIVE}|outdated", True), f"{NATIVE} runs from files that were replaced", id="an upgrade came"
        ),
        pytest.param(_set("wanted_links", []), "does not start at boot", id="a unit does not start at boot"),
        pytest.param(_set("linked_units", []), "is not there", id="a unit is not linked"),
        pytest.param(_set("activated", None), "not activated to its end", id="a run died before its end"),
        pytest.param(_set("generation", "0ther"), "has generation 0ther", id="another generation is current"),
        pytest.param(
            lambda found: found["linked_units"].append("old.service"),
            "no longer declared",
            id="an undeclared unit is left",
        ),
    ],
)
def test_a_deviation_is_a_reason_to_activate(change: Callable[[dict[str, Any]], None], reason: str) -> None:
    reasons = pending_after(change).activate
    assert any(reason in given for given in reasons), reasons


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        pytest.param(_set("generation", "0ther"), (), id="another generation with the same servers"),
        pytest.param(_set("units|ai-backend-verify.timer|active", False), (), id="a timer does not run"),
        pytest.param(_set(f"units|{NATIVE}|running_digest", "0ld"), (NATIVE,), id="a server runs something older"),
        pytest.param(_set(f"units|{NATIVE}|running_digest", ""), (NATIVE,), id="a server does not run"),
        pytest.param(_set(f"units|{NATIVE}|outdated", True), (NATIVE,), id="an upgrade came"),
        pytest.param(lambda read: read["units"].pop(NATIVE), (NATIVE,), id="a server is new"),
    ],
)
def test_the_servers_that_an_activation_restarts(
    change: Callable[[dict[str, Any]], None], restarts: tuple[str, ...]
) -> None:
    assert pending_after(change).restarts == restarts


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda found: found["files"].__setitem__("litellm-unified.yaml", ["0" * 64, 0o644, 0]), id="an edited file"
        ),
        pytest.param(lambda found: found["files"]["providers.yaml"].__setitem__(1, 0o666), id="a file of another mode"),
        pytest.param(lambda found: found["files"]["providers.yaml"].__setitem__(2, 1000), id="a file of another owner"),
        pytest.param(lambda found: found["files"].pop("providers.yaml"), id="a lost file"),
        pytest.param(
            lambda found: found["files"].__setitem__("units/x.service", ["0" * 64, 0o644, 0]), id="a file too many"
        ),
        pytest.param(
            lambda found: found["files"]["install/litellm"].__setitem__(0, "/tmp/x"), id="a link that leads elsewhere"
        ),
        pytest.param(lambda read: read.__setitem__("secrets", []), id="no generated secret"),
    ],
)
def test_a_changed_generation_is_written_again(change: Callable[[dict[str, Any]], None]) -> None:
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
    ("change", "stack", "told"),
    [
        pytest.param(_set("ports|8080", NGINX), None, "port 8080", id="a foreign process on a port"),
        pytest.param(_set("ports|4009", NGINX), WITH_TLS, "port 4009", id="one on the host's own port"),
        pytest.param(_set("user", "bob"), None, "connect as root", id="not root"),
        pytest.param(_set("user", "bob"), small_stack(scope=user_scope()), "connect as alice", id="another user"),
        pytest.param(_set("home", "/srv/alice"), small_stack(scope=user_scope()), "set `home`", id="another home"),
        pytest.param(
            _set("missing_packages", ["cmake"]),
            small_stack(scope=user_scope()),
            "ask an administrator to run `apt-get install cmake`",
            id="missing packages without root",
        ),
        pytest.param(_set("systemd", None), None, "systemd does not answer", id="no systemd"),
        pytest.param(
            lambda found: found.update(
                installs=[], disks={each: {"device": 1, "free": 10**9} for each in found["disks"]}
            ),
            None,
            "/opt/ai-backend and /var/cache/ai-backend need 2170 MB for what is to be installed, and 1000 MB are free",
            id="a full disk",
        ),
    ],
)
def test_what_a_deploy_can_not_fix_is_told_before_it_begins(
    change: Callable[[dict[str, Any]], None], stack: Stack | None, told: str
) -> None:
    needs = needs_after(change, stack)
    assert len(needs) == 1
    assert told in needs[0]


CARD = "GPU-0a1b2c3d-0000-1111-2222-333344445555"
CARDS = {CARD: "NVIDIA L4"}


@pytest.mark.parametrize(
    ("gpus", "uuids", "told"),
    [
        pytest.param(
            {"vendor": None, "cards": {}, "problem": None},
            [],
            "needs an NVIDIA GPU: no such card and driver is found",
            id="no card",
        ),
        pytest.param(
            {"vendor": "nvidia", "cards": CARDS, "problem": "driver and library differ: reboot"},
            [],
            "needs an NVIDIA GPU: driver and library differ: reboot",
            id="a driver that fails",
        ),
        pytest.param(
            {"vendor": "amd", "cards": {}, "problem": None},
            [],
            "needs an NVIDIA GPU: no such card and driver is found",
            id="a card of another vendor",
        ),
        pytest.param(
            {"vendor": "nvidia", "cards": CARDS, "problem": None},
            ["GPU-ffffffff-0000-1111-2222-333344445555"],
            f"no GPU GPU-ffffffff-0000-1111-2222-333344445555 (it has {CARD}): fix `uuids`",
            id="another card",
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
    ("change", "stack", "staged"),
    [
        pytest.param(lambda read: None, small_stack(), False, id="nothing"),
        pytest.param(
            _set(f"units|{NATIVE}|running_digest", "0ld"), small_stack(), False, id="a provider runs something older"
        ),
        pytest.param(
            _set("units|litellm@a.service|running_digest", "0ld"),
            small_stack(),
            True,
            id="the gateway runs something older",
        ),
        pytest.param(
            _set("units|litellm@a.service|running_digest", "0ld"), TWO, True, id="one of two runs something older"
        ),
        pytest.param(
            _set("units|litellm@a.service|running_digest", ""), small_stack(), False, id="the gateway does not run"
        ),
        pytest.param(_set("units|litellm@b.service|running_digest", ""), TWO, True, id="one of two does not run"),
    ],
)
def test_a_new_gateway_is_tried_out_where_one_answers(
    change: Callable[[dict[str, Any]], None], stack: Stack, staged: bool
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


@pytest.mark.parametrize(
    "release", ["llama-b1-bin-ubuntu-arm64.tar.gz", "llama-b1-bin-ubuntu-s390x.tar.gz"], ids=["ARM", "IBM Z"]
)
def test_programs_for_another_processor_are_told(release: str) -> None:
    build = LlamaCppRelease(url=f"https://files.example.com/{release}", sha256="c" * 64, name="released")
    stack = small_stack(providers=[native(build=build), python()])
    (need,) = needs_after(lambda read: None, stack)
    assert f"llama.cpp from {release} is for " in need
    assert "and its processor is x86_64: take the archive for that" in need
    fits = LlamaCppRelease(url="https://files.example.com/llama-b1-bin-ubuntu-x64.tar.gz", sha256="c" * 64, name="fits")
    assert needs_after(lambda read: None, small_stack(providers=[native(build=fits), python()])) == []


def test_ollama_for_another_processor_is_told() -> None:
    ollama = Ollama(release=OllamaRelease(version="0.32.15", machine="aarch64"), models=["a"])
    stack = small_stack(providers=[ollama], routes=[route("n", "ollama")], aliases={})
    assert "Ollama 0.32.15 is for aarch64, and its processor is x86_64: take the archive for that" in needs_after(
        lambda read: None, stack
    )
