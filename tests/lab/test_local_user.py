"""A user of the host without any right reads, asks, writes and stops nothing of the stack, and disturbs no deploy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import reach
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, verdict
from tests.lab.llama_cpp import llama_cpp_release
from tests.lab.local_user import TRIES, USER
from tests.lab.ollama import ollama_release
from tests.labhost import Lab, LabHost

STACK = """
from roles.llama_cpp import LlamaCppRelease
from roles.ollama import *
from roles.redis import Redis

# A release: nothing is compiled for these tests.
build = LlamaCppRelease(name="llama-cpp-b1", url="{url}", sha256="{sha256}")
native = LlamaServer(
    name="native", port={port}, build=build, model=lab_model("native.gguf"), served_name="tiny-native", threads=1
)
models = [OllamaModel(name="tiny-ollama:latest", gguf=lab_model("ollama.gguf"))]
ollama = Ollama(release=OllamaRelease(**{release}), models=models)
words = {{"tiny-native": ("native", "native.gguf"), "tiny-ollama:latest": ("ollama", "ollama.gguf")}}
routes = [
    Route(name=name, deployments=[Deployment(provider=provider)], probe=Probe(expects=says(file)))
    for name, (provider, file) in words.items()
]
gateway = LiteLLM(bind="0.0.0.0", **{gateway})
hosts = [lab_host(Stack(providers=[native, ollama], routes=routes, cache=Redis(), gateway=gateway))]
"""
FIREWALL = "ai-backend-firewall.service"
TABLE = "nft list table inet ai_backend"
LISTEN = 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", {port})); s.listen(); time.sleep(600)'


def stack(folder: Path, lab: Lab, port: int = 8080, **gateway: object) -> Path:
    release = ollama_release(lab).model_dump(exclude_none=True)
    url, sha256 = llama_cpp_release(lab)
    text = STACK.format(gateway=gateway, release=release, url=url, sha256=sha256, port=port)
    return inventory_file(folder, text)


@pytest.fixture(scope="module")
def inventory(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stack(tmp_path_factory.mktemp("stack"), lab)


@pytest.fixture(scope="module")
def host(new_module_host: NewHost, inventory: Path) -> LabHost:
    """A host with the stack, a user, and rules of somebody else's."""
    host = new_module_host("local", prepared=True)
    host.run(f"useradd --create-home --shell /bin/bash {USER}")
    deploy(host, inventory=inventory).must_pass()
    host.run("nft add table inet foreign")
    return host


def succeeds(host: LabHost, script: str, user: str) -> bool:
    command = f"runuser -u {user} -- timeout 30 bash -s"
    return host.run(command, input=script, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("name", TRIES)
def test_what_it_tries_is_refused(host: LabHost, name: str) -> None:
    each = TRIES[name]
    if each.works_for_root:
        assert succeeds(host, each.script, "root"), "not even root can: the try shows nothing"
    assert not succeeds(host, each.script, USER)


def test_who_reaches_what_is_what_the_documentation_says(host: LabHost, pytestconfig: pytest.Config) -> None:
    head, rest = reach.DOCS.read_text().split(reach.BEGIN)
    written, tail = rest.split(reach.END)
    shown = reach.table(host)
    if pytestconfig.getoption("--write-golden"):
        reach.DOCS.write_text(f"{head}{reach.BEGIN}{shown}{reach.END}{tail}")
    else:
        assert written == shown, "run this test with --write-golden and read the diff"


def test_its_verification_ends_soon_and_says_what_it_needs(host: LabHost) -> None:
    # A gateway that has just started would be waited for, and never answer it.
    host.run("systemctl restart litellm@a.service")
    seen = host.run(f"runuser -u {USER} -- timeout 60 /etc/ai-backend/bin/verify 2>&1", check=False, timeout=90)
    assert seen.returncode in (1, 2), seen.stdout
    assert "verify: not run as root" in seen.stdout
    host.run("/etc/ai-backend/bin/verify")


def test_no_secret_is_in_anything_that_it_may_read(host: LabHost) -> None:
    read = "cd /var/lib/ai-backend/secrets && sed -n 's/^[A-Z_]*=\"\\(.*\\)\"$/\\1/p' *"
    secrets = set(host.run(read).stdout.split())
    assert len(secrets) >= 3  # the key of the clients and of the backend, and Redis's password
    places = "/etc /run /tmp /var/lib /var/log /var/cache/ai-backend/build /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
    said = "(/etc/ai-backend/bin/verify --json; cat /proc/[0-9]*/cmdline) 2>&1"
    # A function: what a program is called with, all can see.
    listed = f"secrets() {{ printf '%s\\n' {' '.join(sorted(secrets))}; }}"
    script = f"{listed}\n{said} | grep -acFf <(secrets); grep -rlsFf <(secrets) {places}"
    found = {
        user: host.run(f"runuser -u {user} -- bash -s", input=script, check=False, timeout=120).stdout
        for user in (USER, "root")
    }
    assert found[USER] == "0\n"
    assert "/var/lib/ai-backend/secrets/master-key.env\n" in found["root"]


def test_after_all_that_the_host_verifies_and_a_deploy_has_nothing_to_do(host: LabHost, inventory: Path) -> None:
    assert failures(verdict(host)) == []
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_the_users_own_names_and_ports_do_not_disturb_a_deploy(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    host.run("install -m 644 /dev/null /etc/canary")
    names = (
        "ai-backend",
        "ai-backend-staged",
        "uv",
        "ccache",
        "build",
        "downloads",
        "litellm",
        "pip",
        ".new",
        "verify",
    )
    links = " ".join(f"/tmp/{name}" for name in names)
    listen = LISTEN.format(port=61000)
    looks = "/etc/ai-backend/bin/verify; ls -R /var/lib/ai-backend"
    script = f"""for link in {links}; do ln -sfn /etc/canary $link; done
    nohup python3 -c '{listen}' >/dev/null 2>&1 &
    nohup bash -c 'while :; do {looks}; sleep 0.2; done' >/dev/null 2>&1 &"""
    assert succeeds(host, script, USER)
    try:
        deploy(host, inventory=stack(tmp_path, lab, cooldown=20)).must_pass()
        assert failures(verdict(host)) == []
    finally:
        host.run(f"pkill -KILL -u {USER}", check=False)
    assert host.run("cat /etc/canary").stdout == ""
    assert host.run("stat -c %U:%a /etc/canary").stdout == "root:644\n"


def test_a_port_that_it_has_taken_first_is_told_before_anything_is_done(
    host: LabHost, lab: Lab, tmp_path: Path
) -> None:
    assert succeeds(host, f"nohup python3 -c '{LISTEN.format(port=8099)}' >/dev/null 2>&1 &", USER)
    try:
        run = deploy(host, inventory=stack(tmp_path, lab, port=8099))
    finally:
        host.run(f"pkill -KILL -u {USER}", check=False)
    assert run.status == 1
    assert "port 8099, which llama-server@native.service needs, is taken by process" in run.output
    assert f"(python3) of user {USER}: stop that (`kill " in run.output
    assert "Traceback" not in run.output


def test_rules_that_somebody_removed_are_told_and_loaded_again(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    loaded = host.run(TABLE).stdout
    host.run("nft delete table inet ai_backend")
    (told,) = failures(verdict(host))
    assert told.startswith(f"unit/{FIREWALL}/effect: ")
    deploy(host, inventory=stack(tmp_path, lab, cooldown=20)).must_pass()
    assert host.run(TABLE).stdout == loaded
    host.run("nft flush table inet ai_backend")
    assert [check.partition(":")[0] for check in failures(verdict(host))] == [f"unit/{FIREWALL}/effect"]
    host.run(f"systemctl restart {FIREWALL}")
    assert failures(verdict(host)) == []
    assert host.run("nft list table inet foreign").stdout


def test_after_a_reboot_the_rules_are_there_before_what_they_close(host: LabHost) -> None:
    host.reboot()
    assert not succeeds(host, TRIES["list Ollama's models"].script, USER)
    began = "systemctl show -P ActiveEnterTimestampMonotonic"
    loaded, *others = (
        int(host.run(f"{began} {unit}").stdout) for unit in (FIREWALL, "ollama.service", "litellm@a.service")
    )
    assert all(loaded <= other for other in others)
    assert failures(verdict(host)) == []
