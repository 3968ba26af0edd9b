"""Ollama: upgrades and down-grades, models pulled and made, and what goes wrong with them.

Runs on the stand-in, or on real releases (`OLLAMA_ARCHIVE`, see tests/lab/ollama.py)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import issue_signed
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, Run, ask, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.ollama import ollama_release
from tests.labhost import Lab, LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish as publish_on_hub
from tests.labhost.models import write_tiny_gguf
from tests.labhost.proxy import LoginProxy, with_tls
from tests.ollama_stand_in.registry import ModelRegistry, publish

PULLED = "This one was pulled"
MADE = "This is a model that Ollama serves"
BLOBS = "blobs.lab"
"""The host that the registry sends on to for its blobs, as the vendor's does."""

TOOL = {
    "type": "function",
    "function": {
        "name": "report_weather",
        "description": "Says what the weather is like in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}},
    },
}

STACK = """
from roles.ollama import *
from roles.options import LocalFile

def ollama(release, models, **options):
    routes = [
        Route(
            name=model.name,
            deployments=[Deployment(provider="ollama", model=model.name)],
            tools=model.name.startswith("caller") or None,
            thinking=model.name.startswith("thinker") or None,
        )
        for model in models
    ]
    settings = {"num_parallel": 3, "max_queue": 7, "keep_alive": "9m", **options}
    provider = Ollama(release=OllamaRelease(**release), models=models, **settings)
    return Stack(providers=[provider], routes=routes, gateway=LiteLLM(bind="0.0.0.0", instances=1))

PARAMETERS = {"temperature": 0.5}
MADE = OllamaModel(name="made:latest", gguf=lab_model("ollama.gguf"), system="Be brief.", parameters=PARAMETERS)
"""


@pytest.fixture(scope="module")
def bare(new_module_host: NewHost) -> LabHost:
    """A host with nothing on it. The address that the registry listens on is there while a host is."""
    return new_module_host("ollama", prepared=True)


@pytest.fixture(scope="module")
def registry(lab: Lab, bare: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with ModelRegistry(tmp_path_factory.mktemp("registry"), address, other_host=BLOBS) as registry:
        yield registry


@pytest.fixture(scope="module")
def host(lab: Lab, bare: LabHost, registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    """A host with one model that is made."""
    bare.run(f"echo '{lab.mirror_url.removeprefix('http://').partition(':')[0]} {BLOBS}' >> /etc/hosts")
    deploy(bare, inventory=stack(tmp_path_factory.mktemp("first"), lab)).must_pass()
    return bare


def stack(folder: Path, lab: Lab, *models: str, older: bool = False, **release: str) -> Path:
    """An inventory with the release but for options of it, the model that is made, and further ones."""
    given = {**ollama_release(lab, older=older).model_dump(exclude_none=True), **release}
    listed = ", ".join(["MADE", *models])
    return inventory_file(folder, f"{STACK}\nhosts = [lab_host(ollama({given!r}, [{listed}]))]")


def published(registry: ModelRegistry, folder: Path, name: str, says: str, size: int = 0) -> str:
    """Put a model into the registry; its digest. `size`: bytes that it is made longer by."""
    gguf = folder / f"{name}.gguf"
    write_tiny_gguf(gguf, says=says, name=name)
    with gguf.open("ab") as file:
        file.write(bytes(size))
    return publish(registry.folder, f"library/{name}", "latest", gguf)


def pulled(registry: ModelRegistry, name: str, **options: object) -> str:
    """The declaration of a model of the registry."""
    return f"OllamaModel(name='{registry.host}/library/{name}:latest', insecure=True, **{options!r})"


def tags(host: LabHost) -> dict[str, str]:
    found = json.loads(host.run("curl -sS http://127.0.0.1:11434/api/tags").stdout)
    return {model["name"]: model["digest"] for model in found["models"]}


def version(host: LabHost) -> str:
    return str(json.loads(host.run("curl -sS http://127.0.0.1:11434/api/version").stdout)["version"])


def environment(host: LabHost) -> dict[str, str]:
    pid = main_pids(host, ["ollama.service"])["ollama.service"]
    lines = host.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").stdout.splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name.startswith("OLLAMA_")}


def fails(run: Run, *told: str) -> None:
    assert run.status == 1, run.output
    for words in told:
        assert words in run.output, run.output
    assert "Traceback" not in run.output


def test_a_model_is_made_from_a_file_and_answers(host: LabHost, lab: Lab) -> None:
    assert failures(verdict(host)) == []
    assert version(host) == ollama_release(lab).version
    assert ask(host, "made:latest") == MADE


def test_a_model_that_somebody_made_anew_is_red_until_it_is_brought_again(host: LabHost) -> None:
    blob = host.run("sha256sum /etc/ai-backend/install/model-*/*.gguf").stdout.split()[0]
    body = {"model": "made:latest", "files": {"made.gguf": f"sha256:{blob}"}, "system": "Somebody else's"}
    host.run("curl -sS --fail http://127.0.0.1:11434/api/create -d @-", input=json.dumps(body))
    (found,) = failures(verdict(host))
    assert found.startswith(f"model/made:latest@ollama/digest: {tags(host)['made:latest']}, not ")
    host.run("systemctl restart ollama-models")
    assert failures(verdict(host)) == []


def test_an_install_that_fails_leaves_the_old_one_running(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    pid = main_pids(host, ["ollama.service"])
    run = deploy(host, inventory=stack(tmp_path, lab, sha256="f" * 64))
    fails(run, "ollama-linux-amd64.tar.zst has the digest", f"not {'f' * 64} as declared")
    run = deploy(host, inventory=stack(tmp_path, lab, version="0.0.1"))
    fails(run, "does not say '0.0.1'")
    assert main_pids(host, ["ollama.service"]) == pid
    assert (version(host), ask(host, "made:latest")) == (ollama_release(lab).version, MADE)


def test_a_down_grade_and_an_upgrade_keep_models_and_environment(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    models, settings = tags(host), environment(host)
    gateway = main_pids(host, ["litellm@a.service"])
    assert settings["OLLAMA_NUM_PARALLEL"] == "3"
    for older in (True, False):
        deploy(host, inventory=stack(tmp_path, lab, older=older)).must_pass()
        assert version(host) == ollama_release(lab, older=older).version
        assert tags(host) == models
        assert environment(host) == settings
        assert ask(host, "made:latest") == MADE
        assert failures(verdict(host)) == []
    assert main_pids(host, ["litellm@a.service"]) == gateway


def test_a_pull_that_is_cut_goes_on_and_ends_with_the_pinned_digest(
    host: LabHost, lab: Lab, registry: ModelRegistry, tmp_path: Path
) -> None:
    size = 8 << 20
    digest = published(registry, tmp_path, "pulled", PULLED, size)
    registry.faults.cut_after = 3 << 20
    inventory = stack(tmp_path, lab, pulled(registry, "pulled", digest=digest))
    run = deploy(host, inventory=inventory).must_pass()
    registry.faults.cut_after = None
    name = f"{registry.host}/library/pulled:latest"
    assert tags(host)[name] == digest
    assert ask(host, name) == PULLED
    assert f"{name}: there, digest {digest}" in host.run("journalctl -u ollama-models -o cat --no-pager").stdout
    assert "ollama-models.service: done after" in run.output
    manifests = sum("/manifests/" in asked.path for asked in registry.asked)
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
    host.reboot()
    assert failures(verdict(host)) == []
    assert sum("/manifests/" in asked.path for asked in registry.asked) == manifests  # what is there is not asked for


def test_a_model_of_another_digest_is_refused_and_named(
    host: LabHost, lab: Lab, registry: ModelRegistry, tmp_path: Path
) -> None:
    digest = published(registry, tmp_path, "changed", PULLED)
    run = deploy(host, inventory=stack(tmp_path, lab, pulled(registry, "changed", digest="a" * 64)))
    fails(run, f"library/changed:latest has the digest {digest}, not {'a' * 64} as declared", "fix `digest`")
    assert ask(host, "made:latest") == MADE


def test_a_model_that_the_registry_does_not_have_is_named(
    host: LabHost, lab: Lab, registry: ModelRegistry, tmp_path: Path
) -> None:
    run = deploy(host, inventory=stack(tmp_path, lab, pulled(registry, "nowhere")))
    fails(run, "ollama-models.service has failed", "library/nowhere:latest", "file does not exist")
    assert ask(host, "made:latest") == MADE


def test_tools_and_thinking_go_through_the_template_of_the_models_file(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    """The verifier asks for a call, streamed, by name and among others; what is thought comes beside the words."""
    write_tiny_gguf(
        tmp_path / "thinker.gguf",
        says="<think>\nLet me see.\n</think>\n\nParis it is",
        name="thinker",
        template="thinking",
    )
    caller = "OllamaModel(name='caller:latest', gguf=lab_model('tools.gguf'))"
    inventory = stack(tmp_path, lab, caller, of_file("thinker:latest", tmp_path / "thinker.gguf"))
    deploy(host, inventory=inventory).must_pass()
    found = verdict(host, verifier="/etc/ai-backend/bin/verify --apis")
    assert failures(found) == []
    passed = {check["id"] for check in found["checks"]}
    asked = {"tools", "apis/streamed-tool", "apis/forced-tool", "apis/parallel-tools"}
    assert {f"route/caller:latest/{kind}" for kind in asked} <= passed
    message = answered(host, "thinker:latest", reasoning_effort="low")
    assert (message["reasoning_content"].strip(), message["content"]) == ("Let me see.", "Paris it is")
    (call,) = answered(host, "caller:latest", tools=[TOOL])["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "It rains"}
    history = [{"role": "assistant", "content": None, "tool_calls": [call]}, result]
    assert answered(host, "caller:latest", *history, tools=[TOOL])["tool_calls"][0]["function"] == call["function"]


def answered(host: LabHost, model: str, *history: dict[str, Any], **request: Any) -> dict[str, Any]:
    """The message that the gateway answers with to a question and what has been said since."""
    messages = [{"role": "user", "content": "What is the weather like in Paris?"}, *history]
    body = json.dumps({"model": model, "messages": messages, "max_tokens": 64, **request})
    done = host.run(
        "curl -sS --fail-with-body --max-time 60 http://127.0.0.1:4000/v1/chat/completions -d @- "
        '-H "Authorization: Bearer $(cut -d\'"\' -f2 /var/lib/ai-backend/secrets/master-key.env)" '
        "-H 'Content-Type: application/json'",
        input=body,
    )
    return dict(json.loads(done.stdout)["choices"][0]["message"])


def of_file(name: str, gguf: Path) -> str:
    """The declaration of a model that is made of a file on this machine."""
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
    return f"OllamaModel(name={name!r}, gguf=LocalFile(path={str(gguf)!r}, sha256={digest!r}))"


def test_what_only_the_server_logs_is_told_too(host: LabHost, lab: Lab, tmp_path: Path) -> None:
    """What it answers is that a program of its own has failed."""
    gguf = tmp_path / "strange.gguf"
    write_tiny_gguf(gguf, says=MADE, name="strange")
    gguf.write_bytes(gguf.read_bytes().replace(b"llama", b"nobdy"))
    run = deploy(host, inventory=stack(tmp_path, lab, of_file("strange:latest", gguf)))
    fails(run, "strange:latest: failed to validate GGUF", "ollama.service said meanwhile:", "architecture: 'nobdy'")
    assert ask(host, "made:latest") == MADE


def test_a_full_disk_is_told_at_once_and_once_there_is_room_all_is_well(host: LabHost) -> None:
    blobs = "/var/lib/private/ai-backend/ollama/models/blobs"
    host.run(f"mount -t tmpfs -o size=200k,mode=777 tmpfs {blobs} && systemctl restart ollama")
    log = "journalctl -u ollama-models -o cat --no-pager -n 20"
    told = "no space left on device; making a model takes up to three times"
    host.run(f"timeout 30 bash -c 'until {log} | grep -q \"{told}\"; do sleep 0.3; done'")
    assert "trying again" not in host.run(f"{log} | tail -n 5").stdout
    host.run(f"umount {blobs} && systemctl restart ollama && systemctl reset-failed ollama-models", check=False)
    host.run("systemctl restart ollama-models")
    assert failures(verdict(host)) == []


def test_the_boot_does_not_wait_for_models(host: LabHost, lab: Lab, registry: ModelRegistry, tmp_path: Path) -> None:
    """The loader works in vain, the registry being away, and the host is up all the same."""
    published(registry, tmp_path, "pulled-later", PULLED)
    inventory = stack(tmp_path, lab, pulled(registry, "pulled-later"))
    deploy(host, inventory=inventory).must_pass()
    name = f"{registry.host}/library/pulled-later:latest"
    host.run("curl -sS --fail -X DELETE http://127.0.0.1:11434/api/delete -d @-", input=json.dumps({"model": name}))
    registry.faults.refuse_manifest_with = 500
    host.reboot()  # waits for systemd to say that all has started
    assert host.run("systemctl is-active ollama litellm@a").stdout == "active\nactive\n"
    assert name not in tags(host)
    registry.faults.refuse_manifest_with = None
    deploy(host, inventory=inventory).must_pass()
    assert ask(host, name) == PULLED


def test_pruning_removes_models_that_are_no_longer_declared_and_nothing_did_before(
    host: LabHost, lab: Lab, tmp_path: Path
) -> None:
    held = set(tags(host))
    assert len(held) > 1
    inventory = stack(tmp_path, lab)
    deploy(host, inventory=inventory).must_pass()
    assert set(tags(host)) == held
    run = deploy(host, "prune.py", inventory=inventory).must_pass()
    assert set(tags(host)) == {"made:latest"}
    for name in held - {"made:latest"}:
        assert f"Ollama's model {name}: removed, " in run.output
    assert "MB freed that no model uses" in run.output
    store = "/var/lib/private/ai-backend/ollama/models"
    used = host.run(f"grep -rhoE 'sha256:[0-9a-f]{{64}}' {store}/manifests | tr : - | sort -u").stdout
    assert host.run(f"ls {store}/blobs | sort").stdout == used
    assert ask(host, "made:latest") == MADE


PROXY_LOGIN = "ada:proxy-pass/word@7"


def test_models_come_through_a_proxy_with_a_login_and_past_a_companys_authority(
    lab: Lab, host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host has no other way out: the names lead nowhere, and what they stand for listens on the lab's machine
    alone."""
    monkeypatch.setenv("LAB_PROXY_LOGIN", PROXY_LOGIN)
    names = ("hub.invalid", "registry.invalid", "blobs.invalid")
    authority, *pair = issue_signed(tmp_path, *names)
    hub = FaultyMirror(tmp_path / "hub", "127.0.0.1")
    registry = ModelRegistry(tmp_path / "registry", "127.0.0.1", other_host="blobs.invalid")
    registry.scheme = "https"
    digest = published(registry, tmp_path, "far", PULLED)
    publish_on_hub(hub.folder, "org/far", {"far.gguf": (tmp_path / "far.gguf").read_bytes()})
    ways = dict(zip(names, (hub, registry, registry), strict=True))
    for server in (hub, registry):
        with_tls(server, *pair)
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    proxy = LoginProxy(address, PROXY_LOGIN, {name: ("127.0.0.1", server.server_port) for name, server in ways.items()})
    with hub, registry, proxy:
        outbound = (
            f"Outbound(proxy='{proxy.url}', login=EnvSecret('LAB_PROXY_LOGIN'), no_proxy=['{address}'], "
            f"ca=TextFile('{authority}'))"
        )
        models = (
            "[MADE, OllamaModel(name='registry.invalid/library/far:latest'), OllamaModel(name='far-made:latest', "
            "gguf=HubFile(endpoint='https://hub.invalid', repository='org/far', revision='main', file='far.gguf'))]"
        )
        release = ollama_release(lab).model_dump(exclude_none=True)
        inventory = inventory_file(
            tmp_path,
            f"{STACK}\nfrom roles.options import EnvSecret, HubFile, Outbound, TextFile\n"
            f"stack = ollama({release!r}, {models})\n"
            f"hosts = [lab_host(Stack(**{{**dict(stack), 'outbound': {outbound}}}))]",
        )
        host.cut_network()
        try:
            run = deploy(host, inventory=inventory).must_pass()
        finally:
            host.restore_network()
    assert ask(host, "registry.invalid/library/far:latest") == PULLED
    assert ask(host, "far-made:latest") == PULLED
    assert tags(host)["registry.invalid/library/far:latest"] == digest
    assert {*proxy.let_through} == {f"CONNECT {name}" for name in names}
    assert proxy.refused == 0
    # The password is in one closed file, and in no command line, unit, message or log.
    found = host.run("grep -rlF pass%2Fword /etc/ /opt/ai-backend /var/lib/ai-backend", check=False).stdout.split()
    assert {path.partition("/env/")[2] for path in found} == {"ollama.service.env"}
    assert {*host.run(f"stat -c %a {' '.join(found)}").stdout.split()} == {"600"}
    told = host.run("journalctl --no-pager -o cat; systemctl show ollama; cat /proc/[0-9]*/cmdline", check=False).stdout
    for password in ("pass/word", "pass%2Fword"):
        assert password not in run.output
        assert password not in told
