"""The checks of models: what the real installer records is what the verifier holds the files against."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from roles.contract.recipes import HubModelRecipe, ModelRecipe, Recipe
from roles.contract.verdict import Check
from roles.host.programs.installers import install
from roles.ollama.plan import TRAITS
from roles.verify.checks.models import kept_model_checks, model_checks
from roles.verify.generation import KeptModel, Provider, Service, Task
from tests.deployed import context, deployed
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.labhost.hub import publish
from tests.requests import make_install

FILES = {"nested/config.json": b"{}", "model.safetensors": bytes(range(256)) * 4096}


@pytest.fixture
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyMirror]:
    folder = tmp_path_factory.mktemp("hub")
    publish(folder, "org/model", FILES)
    (folder / "one.gguf").write_bytes(FILES["model.safetensors"])
    with FaultyMirror(folder, "127.0.0.1") as mirror:
        yield mirror


class Models:
    """A generation with models that the installer has installed."""

    def __init__(self, folder: Path) -> None:
        self.config, self.models = folder / "config", folder / "state/models"
        (self.config / "install").mkdir(parents=True)
        self.generation = deployed(self.config)

    def install(self, name: str, recipe: Recipe) -> Path:
        folder = self.models / name
        install.main(make_install(folder, recipe, name))
        (self.config / "install" / f"model-{name}").symlink_to(folder)
        return folder

    def checks(self, *, deep: bool = False) -> dict[str, tuple[bool | None, str]]:
        async def run() -> list[Check]:
            return list(await asyncio.gather(*model_checks(self.generation, deep=deep)))

        return {check.id: (check.ok, check.seen) for check in asyncio.run(run())}

    def check(self, *, deep: bool = False) -> tuple[bool | None, str]:
        (found,) = self.checks(deep=deep).values()
        return found


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


@pytest.fixture
def hub_model(models: Models, mirror: FaultyMirror) -> Path:
    recipe = HubModelRecipe(endpoint=mirror.url, repository="org/model", revision="main", files=("*",), sha256=None)
    return models.install("model", recipe)


def test_what_was_installed_is_well_and_read_only_when_asked_to(
    models: Models, hub_model: Path, mirror: FaultyMirror
) -> None:
    digest = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    models.install("one", ModelRecipe(url=f"{mirror.url}/one.gguf", sha256=digest, filename="one.gguf"))
    assert models.checks() == {
        "model/model/digest": (True, "2 files, 1 MB, untouched"),
        "model/one/digest": (True, "1 file, 1 MB, untouched"),
    }
    assert models.checks(deep=True) == {
        "model/model/digest": (True, "2 files, 1 MB, 1 MB of it read"),
        "model/one/digest": (True, "1 file, 1 MB, 1 MB of it read"),
    }


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", list(FILES))
def test_a_changed_byte_is_red(models: Models, hub_model: Path, name: str) -> None:
    flip_a_byte(hub_model / name)
    holds, seen = models.check()
    assert holds is False
    assert seen.startswith(f"{name} has the digest ")
    assert seen.endswith(f": remove {hub_model} and run deploys/full.py")


def test_a_changed_byte_that_left_no_trace_is_found_by_a_deep_look(models: Models, hub_model: Path) -> None:
    file = hub_model / "model.safetensors"
    before = file.stat()
    with file.open("r+b") as content:
        content.seek(1000)
        content.write(b"\0")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert models.check()[0] is True
    assert models.check(deep=True)[0] is False


def test_another_file_with_the_same_time_is_read_and_red(models: Models, hub_model: Path) -> None:
    file = hub_model / "model.safetensors"
    before = file.stat()
    file.rename(hub_model / "kept")
    file.write_bytes(b"x" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert models.check()[0] is False


def test_a_copy_of_the_right_file_is_read_and_well(models: Models, hub_model: Path) -> None:
    file = hub_model / "model.safetensors"
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert models.check() == (True, "2 files, 1 MB, 1 MB of it read")


def test_a_file_that_is_cut_or_gone_is_red(models: Models, hub_model: Path) -> None:
    os.truncate(hub_model / "model.safetensors", 1000)
    assert models.check()[1].startswith("model.safetensors has 1000 bytes, not 1048576: remove ")
    (hub_model / "model.safetensors").unlink()
    assert models.check()[1].startswith("model.safetensors is gone: remove ")
    (hub_model / ".install.json").unlink()
    assert models.check() == (False, f"{hub_model} is not whole: run deploys/full.py")


def test_an_install_of_a_version_that_recorded_no_digests_is_well(models: Models, hub_model: Path) -> None:
    mark = hub_model / ".install.json"
    record = json.loads(mark.read_text())
    del record["files"]
    mark.write_text(json.dumps(record))
    assert models.check(deep=True) == (True, "installed by a version that did not record digests")


def test_what_is_no_model_is_left_alone(models: Models, tmp_path: Path) -> None:
    (models.config / "install/litellm").symlink_to(tmp_path / "python-env/1f0c")
    assert models.checks() == {}


# Ollama's


class Ollama(ThreadedServer):
    """Says what models it holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__("127.0.0.1", _Tags)
        self.held = {"llama3.1:latest": "aaa"}
        self.folder = folder

    def check(self, name: str, pinned: str | None = None, record: dict[str, str] | None = None) -> tuple[object, str]:
        (self.folder / "digests.json").unlink(missing_ok=True)
        if record is not None:
            (self.folder / "digests.json").write_text(json.dumps(record))
        url = f"{self.url}/api/version"
        service = Service("ollama.service", "127.0.0.1", self.server_port, url, 30, Path("/nowhere"))
        task = Task("ollama-models.service", "done", 30, Path("/nowhere"))
        kept = (KeptModel(name, pinned),)
        provider = Provider("own", service, (task.unit,), "ollama", kept_models=kept, traits=TRAITS)
        generation = deployed(self.folder, providers=(provider,), tasks=(task,))

        async def run() -> list[Check]:
            async with httpx.AsyncClient(trust_env=False) as client:
                return list(await asyncio.gather(*kept_model_checks(context(generation, client), ())))

        (check,) = asyncio.run(run())
        assert check.id == f"model/{name}@own/digest"
        return check.ok, check.seen


class _Tags(QuietHandler):
    server: Ollama

    def do_GET(self) -> None:
        assert self.path == "/api/tags"
        self.send_response(200)
        self.end_headers()
        models = [{"name": name, "digest": digest} for name, digest in self.server.held.items()]
        self.wfile.write(json.dumps({"models": models}).encode())


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[Ollama]:
    with Ollama(tmp_path) as server:
        yield server


def test_a_model_with_the_pinned_or_the_recorded_digest_is_well(ollama: Ollama) -> None:
    assert ollama.check("llama3.1:latest", pinned="aaa") == (True, "aaa")
    assert ollama.check("llama3.1", record={"llama3.1": "aaa"}) == (True, "aaa")
    assert ollama.check("llama3.1:latest") == (True, "aaa")


def test_a_model_that_somebody_changed_or_removed_is_red(ollama: Ollama) -> None:
    changed = "aaa, not bbb: somebody pulled or made it anew"
    assert ollama.check("llama3.1:latest", pinned="bbb", record={"llama3.1:latest": "aaa"}) == (False, changed)
    assert ollama.check("llama3.1:latest", record={"llama3.1:latest": "bbb"}) == (False, changed)
    assert ollama.check("qwen:7b") == (False, "the server does not have it")


def test_a_server_that_does_not_answer_leaves_its_models_unknown(ollama: Ollama) -> None:
    ollama.socket.close()
    holds, seen = ollama.check("llama3.1:latest")
    assert holds is None
    assert seen.endswith("/api/tags: ConnectError")
