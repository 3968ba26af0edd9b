"""A host that is destroyed and deployed again from the lock is the same host, though branch and tag have moved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import ask, deploy, failures, inventory_file, verdict
from tests.labhost import Lab, LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish
from tests.labhost.models import write_tiny_gguf
from tests.labhost.paths import REPOSITORY

_STACK = """
def model(repository, revision):
    return HubFile(endpoint={url!r}, repository=repository, revision=revision, file="m.gguf")

stack = Stack(
    providers=[
        LlamaServer(
            name="native", port=8080, build=LLAMA_CPP, model=model("org/branch", "main"), served_name="branch",
            threads=1,
        ),
        LlamaCppPython(name="python", port=8000, build=LLAMA_CPP, model=model("org/tag", "v1"), served_name="tag"),
    ],
    routes=[
        Route(name="branch", deployments=[Deployment(provider="native")]),
        Route(name="tag", deployments=[Deployment(provider="python")]),
    ],
    gateway=LiteLLM(bind="0.0.0.0", instances=1),
)
hosts = [lab_host(stack, unlocked=False)]
"""
DAYS = ("This is the first day", "This is the next day")


@pytest.fixture(scope="module")
def hub(lab: Lab, tmp_path_factory: pytest.TempPathFactory, first: LabHost) -> Iterator[FaultyMirror]:
    """A Hub on the address that is there while a host is."""
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with FaultyMirror(tmp_path_factory.mktemp("hub"), address) as mirror:
        yield mirror


@pytest.fixture(scope="module")
def first(new_module_host: NewHost) -> LabHost:
    return new_module_host("lock-first", prepared=True)


def publish_day(hub: FaultyMirror, day: str) -> None:
    """From now on the branch and the tag lead to models that say this."""
    for repository, revision in (("org/branch", "main"), ("org/tag", "v1")):
        gguf = hub.folder / "m.gguf"
        write_tiny_gguf(gguf, says=day, name=repository.replace("/", "-"))
        publish(hub.folder, repository, {"m.gguf": gguf.read_bytes()}, branch=revision)


def make_lock(host: LabHost, inventory: Path, *options: str) -> str:
    """Run the command; what it says."""
    command = [sys.executable, "deploys/lock.py", str(inventory), *options]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "LAB_HOST": host.name}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def generation(host: LabHost) -> str:
    return host.run("readlink /etc/ai-backend").stdout.strip().rpartition("/")[2]


def compare_memory(host: LabHost, output: str) -> None:
    """The facts that the lock has of a model are the plan that its server is compared with."""
    found = {(each["provider"], each["memory"]): each for each in verdict(host)["memory"]}
    assert list(found) == [("native", "main memory"), ("python", "main memory")]
    for provider in ("native", "python"):
        engine = found[provider, "main memory"]
        assert 0 < engine["planned"] < engine["measured"] < 512 << 20, engine
        assert engine["warning"] == ""
        assert f"main memory of {provider}: planned {round(engine['planned'] / 2**20)} MiB, measured " in output


def test_a_host_that_is_deployed_again_from_the_lock_is_the_same_host(
    first: LabHost, new_module_host: NewHost, hub: FaultyMirror, tmp_path: Path
) -> None:
    inventory = inventory_file(tmp_path, f"from roles.options import *\n{_STACK.format(url=hub.url)}")
    publish_day(hub, DAYS[0])
    refused = deploy(first, inventory=inventory)
    assert refused.status == 1
    words = " ".join(refused.output.split())
    assert f"{hub.url}/org/branch@main, {hub.url}/org/tag@v1: tomorrow it may be something else" in words
    assert f"run `python deploys/lock.py {inventory}`" in words
    assert first.run("ls /etc/ai-backend", check=False).returncode != 0

    make_lock(first, inventory)
    output = deploy(first, inventory=inventory).must_pass().output
    was = generation(first)
    compare_memory(first, output)
    assert (ask(first, "branch"), ask(first, "tag")) == (DAYS[0], DAYS[0])

    second = new_module_host("lock-second", prepared=True)
    first.destroy()
    publish_day(hub, DAYS[1])
    deploy(second, inventory=inventory).must_pass()
    assert generation(second) == was
    assert (ask(second, "branch"), ask(second, "tag")) == (DAYS[0], DAYS[0])

    printed = make_lock(second, inventory, "--data", "upgrade=org/branch")
    (moved,) = [line for line in printed.splitlines() if "→" in line]
    assert moved.startswith(f"{hub.url}/org/branch@main: ")
    deploy(second, inventory=inventory).must_pass()
    assert generation(second) != was
    assert (ask(second, "branch"), ask(second, "tag")) == (DAYS[1], DAYS[0])
    assert failures(verdict(second)) == []
