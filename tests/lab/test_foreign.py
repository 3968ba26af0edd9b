"""A host that others already use: what is there is named, never replaced in silence, and given back whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import Run, ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import lab_model, says
from tests.lab.ollama import ollama_release
from tests.labhost import Lab, LabHost
from tests.ollama_stand_in.archive import ARCHIVE_NAME

VENDORS_UNIT = """[Unit]
Description=Ollama Service
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Group=ollama
Restart=always
RestartSec=3
Environment="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

[Install]
WantedBy=default.target
"""
"""As the vendor's installer writes it."""
DROP_IN = "[Service]\nEnvironment=OLLAMA_KEEP_ALIVE=17m\nEnvironment=SECRET=not-for-everybody\n"

WEB = """[Unit]
Description=A page of somebody
[Service]
WorkingDirectory=/srv/{text}
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 {port}
[Install]
WantedBy={target}
"""
MASKED = "llama-server@native.service"
PATHS = (
    "/etc/systemd/system/ollama.service",
    "/etc/systemd/system/ollama.service.d",
    "/etc/systemd/system/default.target.wants/ollama.service",
    "/etc/systemd/system/page.service",
    "/etc/systemd/system/multi-user.target.wants/page.service",
    f"/etc/systemd/system/{MASKED}",
    "/home/bob/.config/systemd/user/litellm.service",
    "/etc/ai-backend",
    "/usr/share/ollama/.ollama/models",
)
NAMES = ("page.service", MASKED, "bob:litellm.service", "/etc/ai-backend")

INVENTORY = """
from roles.ollama import *
stack = lab_stack(native_says={says!r})
if {ollama!r}:
    model = OllamaModel(name="made:latest", gguf=lab_model("ollama.gguf"))
    provider = Ollama(release=OllamaRelease(**{release!r}), models=[model])
    route = Route(name="made:latest", deployments=[Deployment(provider="ollama")])
    stack = stack.model_copy(
        update={{"providers": (*stack.providers, provider), "routes": (*stack.routes, route)}}
    )
hosts = [lab_host(stack)]
"""
USING = """
from roles.external import Existing
stack = lab_stack()
theirs = Existing(name="theirs", url="http://127.0.0.1:11434/v1", models=["theirs:latest"])
route = Route(name="theirs", deployments=[Deployment(provider="theirs")])
hosts = [
    lab_host(stack.model_copy(update={"providers": (*stack.providers, theirs), "routes": (*stack.routes, route)}))
]
"""


@pytest.fixture(scope="module")
def host(lab: Lab, new_module_host: NewHost) -> LabHost:
    """A host with the vendor's Ollama, a page on port 8080, bob's own LiteLLM on 4000, a masked unit, another's
    /etc/ai-backend, and a process on 8000."""
    host = new_module_host("foreign", prepared=True)
    release = ollama_release(lab)
    host.run("apt-get -qq install -y --no-install-recommends zstd", timeout=120)
    host.run(f"curl -sSf {release.url}/{ARCHIVE_NAME} | tar --zstd -x -C /usr/local", timeout=120)
    host.run("useradd -r -s /bin/false -U -m -d /usr/share/ollama ollama")
    unit(host, "ollama.service", VENDORS_UNIT)
    unit(host, "ollama.service.d/override.conf", DROP_IN, mode=600)
    unit(host, "page.service", WEB.format(text="page", port=8080, target="multi-user.target"))
    host.run("useradd -m -s /bin/bash bob && loginctl enable-linger bob")
    folder = "/home/bob/.config/systemd/user"
    host.run(f"mkdir -p {folder}", user="bob")
    host.run(
        f"cat > {folder}/litellm.service", user="bob", input=WEB.format(text="bob", port=4000, target="default.target")
    )
    host.run("mkdir -p /etc/ai-backend /srv/page /srv/bob; echo 'other: yes' > /etc/ai-backend/config.yaml")
    host.run("echo page > /srv/page/index.html; echo bob > /srv/bob/index.html; chmod 750 /etc/ai-backend")
    host.run(f"systemctl mask {MASKED}; systemctl daemon-reload; systemctl enable --now ollama page")
    host.run("systemctl --user daemon-reload; systemctl --user enable --now litellm", user="bob")
    host.run("systemd-run --quiet --scope --unit bare sh -c 'python3 -m http.server 8000 >/dev/null 2>&1 &'")
    make_model(host)
    host.run("touch -d '2024-02-03 04:05:06.789' /etc/systemd/system/ollama.service.d /etc/ai-backend")
    answer(host)
    return host


def unit(host: LabHost, path: str, text: str, mode: int = 644) -> None:
    place = f"/etc/systemd/system/{path}"
    host.run(f"mkdir -p $(dirname {place}); cat > {place}; chmod {mode} {place}", input=text)


def make_model(host: LabHost) -> None:
    model = lab_model("ollama.gguf")
    wait(host, 11434)
    host.run(f"curl -sSf -o /root/model.gguf {model.url}")
    host.run(f"curl -sSf -X POST -T /root/model.gguf http://127.0.0.1:11434/api/blobs/sha256:{model.sha256}")
    body = json.dumps({"model": "theirs:latest", "files": {"model.gguf": f"sha256:{model.sha256}"}})
    host.run("curl -sSf http://127.0.0.1:11434/api/create -d @-", input=body, timeout=60)


def main_process(host: LabHost) -> str:
    """The id of the vendor's Ollama, which another start changes."""
    return host.run("systemctl show -P MainPID ollama").stdout.strip()


def wait(host: LabHost, port: int) -> None:
    host.run(f"timeout 30 sh -c 'until curl -s http://127.0.0.1:{port} >/dev/null; do sleep 0.1; done'", timeout=40)


def answer(host: LabHost, *, ollama_only: bool = False) -> None:
    """What is there and is not ours answers as it always did."""
    wait(host, 11434)
    assert "theirs:latest" in host.run("curl -sSf http://127.0.0.1:11434/api/tags").stdout
    shown = host.run("systemctl show -P User -P MainPID ollama").stdout.split()
    assert shown[0] == "ollama" or shown[1] == "ollama"
    pid = host.run("systemctl show -P MainPID ollama").stdout.strip()
    assert "OLLAMA_KEEP_ALIVE=17m" in host.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").stdout
    if ollama_only:
        return
    for port, text in ((8080, "page"), (4000, "bob")):
        wait(host, port)
        assert host.run(f"curl -sSf http://127.0.0.1:{port}/").stdout == f"{text}\n"
    assert host.run("systemctl is-enabled ollama page", check=False).stdout == "enabled\nenabled\n"
    assert host.run(f"systemctl is-enabled {MASKED}", check=False).stdout == "masked\n"
    assert host.run("systemctl --user is-enabled litellm", user="bob").stdout == "enabled\n"


def looks(host: LabHost, *paths: str) -> str:
    """Type, mode, owner, time, size and target of everything there, and the digest of each file."""
    listed = " ".join(paths or PATHS)
    found = host.run(f"find {listed} -printf '%p %y %M %u:%g %T@ %s %l\\n' | sort").stdout
    return found + host.run(f"find {listed} -type f -exec sha256sum {{}} + | sort -k2").stdout


def inventory(folder: Path, lab: Lab, *, ollama: bool, says: str | None = None) -> Path:
    release = ollama_release(lab).model_dump(exclude_none=True) if ollama else {}
    text = INVENTORY.format(says=says or "This is the native llama server", ollama=ollama, release=release)
    return inventory_file(folder, text)


def full(host: LabHost, file: Path, names: Sequence[str] = (), deploy_file: str = "full.py") -> Run:
    return deploy(host, deploy_file, inventory=file, data={"take_over": ",".join(names)} if names else {})


def test_preflight_names_everything_and_full_refuses(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    before = looks(host)
    file = inventory(tmp_path, lab, ollama=True)
    preflight = full(host, file, deploy_file="preflight.py")
    print(preflight.output)
    for run in (preflight, full(host, file)):
        assert run.status == 1, run.output
        assert "Traceback" not in run.output
        for told in (
            'ollama.service is there and is not ours: /etc/systemd/system/ollama.service (root\'s) ("Ollama Service"), '
            "runs /usr/local/bin/ollama as user ollama, is running, has port 11434, starts at boot. The drop-in "
            "/etc/systemd/system/ollama.service.d/override.conf (root's) would change ours. Choose: "
            "`--data take_over=ollama.service`",
            f"{MASKED} is masked, by the link /etc/systemd/system/{MASKED} (root's)",
            "port 8080, which llama-server@native.service needs, is taken by page.service, process ",
            "port 8000, which llama-cpp-python@python.service needs, is taken by process ",
            "port 4000, which ai-backend-front.service needs, is taken by litellm.service of bob's own systemd manager",
            "`--data take_over=bob:litellm.service`",
            "/etc/ai-backend is there and is not ours: a folder of user root with config.yaml, changed 2024-02-03",
        ):
            assert told in run.output, told
    assert "note: the user ollama (number " in preflight.output
    assert "SECRET" not in preflight.output
    assert looks(host) == before
    answer(host)
    assert host.run("ls -d /etc/ai-backend-* /var/lib/ai-backend/lock", check=False).stdout == ""


def test_names_that_mean_nothing_and_half_of_the_names_are_refused(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    run = full(host, inventory(tmp_path, lab, ollama=True), ["olama.service", *NAMES])
    assert run.status == 1
    assert 'take_over: nothing in the way is called "olama.service"; did you mean "ollama.service"?' in run.output
    assert "- ollama.service is there and is not ours" in run.output
    assert "- port 8000, which llama-cpp-python@python.service needs" in run.output
    assert "page.service, process" not in run.output
    host.run("systemctl kill --signal=KILL bare.scope")
    answer(host)


def test_a_first_deploy_that_fails_gives_back_what_it_took(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    before = looks(host)
    run = full(host, inventory(tmp_path, lab, ollama=True, says="something else"), [*NAMES, "ollama.service"])
    assert run.status == 1
    assert "There is nothing to roll back to" in run.output
    assert "So the stack is stopped, and what was there before is back" in run.output, run.output
    assert looks(host) == before
    answer(host)


def test_what_is_named_is_taken_over_and_a_killed_run_is_continued(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    file = inventory(tmp_path, lab, ollama=False)
    vendors = looks(host, *PATHS[:3])
    killed = deploy(
        host,
        inventory=file,
        data={"take_over": ",".join(NAMES)},
        at="stopping it",
        do=lambda: host.run("pkill -KILL -f '[g]enerations.forward'", check=False),
    )
    assert killed.status == 1
    full(host, file, NAMES).must_pass()
    assert failures(verdict(host)) == []
    assert ask(host, "tiny-native") == "This is the native llama server"
    assert looks(host, *PATHS[:3]) == vendors
    answer(host, ollama_only=True)


def test_an_existing_ollama_is_used_and_stays_as_it_is(host: LabHost, tmp_path: Path) -> None:
    files = (*PATHS[:3], "/usr/share/ollama", "/usr/local/bin/ollama")
    before, process = looks(host, *files), main_process(host)
    file = inventory_file(tmp_path, USING)
    full(host, file).must_pass()
    assert ask(host, "theirs") == says("ollama.gguf")
    found = verdict(host)
    assert failures(found) == []
    assert {"external/theirs/reached", "route/theirs/chat"} <= {check["id"] for check in found["checks"]}
    deploy(host, "prune.py", inventory=file).must_pass()
    deploy(host, "rollback.py", inventory=file).must_pass()
    assert (looks(host, *files), main_process(host)) == (before, process)
    answer(host, ollama_only=True)


def test_going_back_to_before_it_gives_the_vendors_ollama_back(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    before = looks(host, *PATHS[:3])
    file = inventory(tmp_path, lab, ollama=True)
    run = full(host, file)
    assert run.status == 1
    assert run.output.count("take_over=") == 1
    full(host, file, ["ollama.service"]).must_pass()
    assert failures(verdict(host)) == []
    assert "made:latest" in host.run("curl -sSf http://127.0.0.1:11434/api/tags").stdout
    runs_as = int(host.run("ps -o uid= -p $(systemctl show -P MainPID ollama)").stdout)
    assert 61184 <= runs_as <= 65519, "a dynamic user's number, and not the vendor's user"
    assert host.run("stat -c '%a %U' /etc/ai-backend-taken-over").stdout == "700 root\n"
    assert "note: ollama.service was taken over at " in full(host, file, deploy_file="preflight.py").output
    run = deploy(host, "rollback.py", inventory=file).must_pass()
    assert "ollama.service: runs again, and answers on port 11434" in run.output
    assert looks(host, *PATHS[:3]) == before
    answer(host, ollama_only=True)
    assert failures(verdict(host)) == []


def test_before_the_first_generation_the_host_is_as_it_was(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    file, process = inventory(tmp_path, lab, ollama=False), main_process(host)
    run = deploy(host, "rollback.py", inventory=file, data={"generation": "none"}).must_pass()
    print(run.output)
    answer(host)
    assert main_process(host) == process
    assert host.run("cat /etc/ai-backend/config.yaml").stdout == "other: yes\n"
    assert host.run("ls /etc/ai-backend-taken-over; nft list tables | grep ai_backend", check=False).stdout == ""
    assert host.run("find /etc/systemd/system -lname '/etc/ai-backend/*'").stdout == ""
