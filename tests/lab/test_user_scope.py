"""The same stack, with TLS, under a user without sudo, with `systemctl --user`, over a reboot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.certificates import issue
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, verdict
from tests.lab.https import NAME, Https, serial
from tests.lab.inventory import says
from tests.labhost import Lab, LabHost

VERIFIER = "/home/alice/.config/ai-backend/bin/verify"
STATE = "/home/alice/.local/state/ai-backend"


@pytest.fixture(scope="module")
def host(lab: Lab, new_module_host: NewHost) -> LabHost:
    """A host on which an administrator made the user, installed what building needs, and did no more."""
    caches = lab.folders.deploy_caches("bookworm", "/home/alice/.cache/ai-backend")
    host = new_module_host("alice", binds=caches)
    # With the number that the builder has on other hosts: the compiler and package caches of the lab are hers too.
    owner = Path(next(iter(caches))).stat().st_uid or 999  # root's until a first deploy gives them to the builder
    host.run(f"useradd --uid {owner} --create-home --shell /bin/bash alice")
    host.run("chown alice:alice /home/alice /home/alice/.cache /home/alice/.cache/ai-backend{,/uv,/ccache}")
    return host


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alice")


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[Path, Path]:
    return issue(folder, "first", NAME)


@pytest.fixture(scope="module")
def https(host: LabHost, first: tuple[Path, Path]) -> Https:
    """At a port that she may listen at, with files of hers."""
    https = Https(host, port=4000, folder="/home/alice/tls", user="alice")
    https.put(first)
    return https


@pytest.fixture(scope="module")
def inventory(https: Https, folder: Path) -> Path:
    stack = f"lab_stack(user='alice', gateway={{'tls': {https.tls}}})"
    text = f"from roles.litellm import Tls\nhosts = [lab_host({stack}, ssh_user='alice')]"
    return inventory_file(folder, text)


def words(https: Https, pair: tuple[Path, Path]) -> str:
    """What a client is answered that trusts that certificate alone."""
    key = https.host.run(f"cut -d'\"' -f2 {STATE}/secrets/master-key.env", user="alice").stdout.strip()
    body = {"model": "tiny-native", "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 64}
    headers = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    answer = json.loads(https.curl(pair, "/v1/chat/completions", *headers, "-d", json.dumps(body)))
    return str(answer["choices"][0]["message"]["content"]).strip()


def test_missing_packages_and_lingering_are_the_administrators_and_named(host: LabHost, inventory: Path) -> None:
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    packages = "ccache cmake g++ haproxy ninja-build python3-venv"
    assert f"ask an administrator to run `apt-get install {packages}` once" in run.output
    host.run(f"apt-get install -y --no-install-recommends {packages}", timeout=300)
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert "Ask an administrator to run `loginctl enable-linger alice` once" in run.output
    host.run("loginctl enable-linger alice")


def test_the_stack_runs_under_the_user_and_survives_a_reboot(
    host: LabHost, https: Https, first: tuple[Path, Path], inventory: Path
) -> None:
    deploy(host, inventory=inventory).must_pass()
    found = verdict(host, verifier=VERIFIER, user="alice")
    assert failures(found) == []
    assert "gateway/certificate" in {check["id"] for check in found["checks"]}
    assert words(https, first) == says("native.gguf")
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
    before = host.boot_id()
    host.reboot()
    run = deploy(host, "verify.py", inventory=inventory).must_pass()
    assert host.boot_id() != before
    assert host.boot_id() in run.output
    assert words(https, first) == says("native.gguf")
    assert host.run("id -nG alice").stdout.split() == ["alice"]
    assert host.run("ls /etc/ai-backend /opt/ai-backend /var/lib/ai-backend 2>/dev/null", check=False).stdout == ""


def test_a_renewal_is_used_at_once(https: Https, folder: Path) -> None:
    renewed = issue(folder, "renewed", NAME)
    https.put(renewed)
    https.wait_for_serial(serial(renewed[0].read_text()))
    assert words(https, renewed) == says("native.gguf")


def test_the_checks_of_the_host_hold_for_the_user_too(host: LabHost) -> None:
    """She sees her own processes and sockets; the journal may be kept from her."""
    unit = "llama-server@native.service"
    for restarts in (1, 2):
        host.run(f"systemctl --user kill --signal=KILL {unit}", user="alice")
        again = f'[ "$(systemctl --user show -P NRestarts -P ActiveState {unit} | xargs)" = "{restarts} active" ]'
        host.run(f"timeout 30 sh -c 'until {again}; do sleep 0.2; done'", user="alice", timeout=40)
        red = failures(verdict(host, verifier=VERIFIER, user="alice"))
        assert [failure.partition(":")[0] for failure in red] == [f"unit/{unit}/restarts"] * (restarts - 1)
    host.run(f"systemctl --user restart {unit}", user="alice")
    found = verdict(host, verifier=VERIFIER, user="alice")
    assert failures(found) == []
    groups = {check["id"].partition("/")[0] for check in found["checks"]}
    assert groups == {"host", "generation", "install", "unit", "model", "gateway", "route"}
