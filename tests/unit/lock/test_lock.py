"""The lock: made from what is served now, kept while that moves, moved by name; read back, refused where damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from roles.contract.recipes import HubModelRecipe
from roles.fit.facts import ModelFacts
from roles.fit.stored import restored
from roles.lock import (
    LockContent,
    LockError,
    lock_file,
    pins_of,
    problems,
    read_lock_file,
    references_of,
    write_lock_file,
)
from roles.lock.incomplete import missing
from roles.lock_inventory import main
from roles.plan import HostPlan, resolve
from roles.rooms import plan_of
from tests.inventories import load_stack
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hf_models import tiny_hf_files, tiny_lora_files
from tests.labhost.hub import publish
from tests.labhost.models import write_tiny_gguf
from tests.labhost.paths import REPOSITORY
from tests.ollama_stand_in import registry as models
from tests.ollama_stand_in.registry import ModelRegistry
from tests.stacks import PLATFORM

TOKEN = "hf_never_to_be_seen_anywhere"
_INVENTORY = """
from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaServer
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import *
from roles.vllm import LoraAdapter, Vllm

HUB, REGISTRY = "{hub}", "{registry}"
build = LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.36", sha256="8" * 64))
stack = Stack(
    providers=[
        Ollama(
            release=OllamaRelease(version="0.32.15", url=HUB + "/ollama"),
            models=[OllamaModel(name=REGISTRY + "/library/small:latest", insecure=True)],
        ),
        Vllm(
            name="v", port=8001, model=HubModel(endpoint=HUB, repository="org/whole", revision="main"),
            lora_modules=[LoraAdapter(name="a", model=HubModel(endpoint=HUB, repository="org/lora", revision="main"))],
        ),
        LlamaServer(
            name="n", port=8080, build=build, served_name="n", gpus=None,
            model=HubFile(endpoint=HUB, repository="org/gguf", revision="main", file="m-00001-of-00002.gguf"),
        ),
        LlamaServer(
            name="u", port=8081, build=build, served_name="u", gpus=None,
            model=UrlFile(url=HUB + "/one.gguf?key=never-to-be-seen", sha256="{one}"),
        ),
    ],
    routes=[Route(name="n", deployments=[Deployment(provider="n")])],
    gateway=LiteLLM(),
)
hosts = [("one", {{"stack": stack}}), ("two", {{"stack": stack}})]
"""


@dataclass
class Served:
    """What an inventory refers to, served on this machine."""

    hub: FaultyMirror
    registry: ModelRegistry
    inventory: Path

    def publish(self, says: str) -> None:
        """Everything that moves says something else from now on."""
        folder = self.hub.folder
        gguf = folder / "one.gguf"
        write_tiny_gguf(gguf, says=says, name="one")
        publish(folder, "org/gguf", {f"m-0000{part}-of-00002.gguf": gguf.read_bytes() for part in (1, 2)})
        publish(folder, "org/whole", tiny_hf_files(says=says, awq=False))
        adapter = tiny_lora_files(base_says=says, says=says.rpartition(" ")[0])
        publish(folder, "org/lora", {**adapter, "of.txt": says.encode()})
        models.publish(self.registry.folder, "library/small", "latest", gguf)

    def lock(self, *options: str) -> int:
        return main([str(self.inventory), *options])

    def content(self) -> LockContent:
        found = read_lock_file(lock_file(self.inventory))
        assert found
        return found

    def plan(self, lock: LockContent | None) -> HostPlan:
        plan = plan_of(load_stack(str(self.inventory), "one"))
        return plan_of(load_stack(str(self.inventory), "one"), pins_of(lock, references_of(plan)))

    def generation(self) -> str:
        plan = self.plan(self.content())
        return resolve(plan, PLATFORM, reveal=lambda secret: "x" * 20).digest


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "hub"
    (folder / "ollama").mkdir(parents=True)
    (folder / "ollama/ollama-linux-amd64.tar.zst").write_bytes(b"an archive")
    (folder / "ollama/sha256sum.txt").write_text(f"{'c' * 64}  ./ollama-linux-amd64.tar.zst\n")
    with FaultyMirror(folder, "127.0.0.1") as hub, ModelRegistry(tmp_path / "registry", "127.0.0.1") as registry:
        found = Served(hub, registry, tmp_path / "box.py")
        found.publish("the first day")
        text = _INVENTORY.format(hub=hub.url, registry=registry.host, one="d" * 64)
        found.inventory.write_text(text)
        yield found


def test_all_that_a_plan_refers_to_is_locked_with_its_size_and_facts(served: Served) -> None:
    assert served.lock() == 0
    lock = served.content()
    assert lock.hosts["one"] == lock.hosts["two"]
    assert set(lock.python) == {"litellm", "verifier-env", "vllm"}
    assert set(lock.sources) == {"llama-cpp-python 0.3.36"}
    archive = lock.addresses[f"{served.hub.url}/ollama/ollama-linux-amd64.tar.zst"]
    assert (archive.sha256, archive.size, archive.facts) == ("c" * 64, 10, None)
    model = lock.addresses[f"{served.hub.url}/one.gguf {'d' * 12}"]
    (small,) = lock.registry.values()
    assert [layer.kind for layer in small.layers] == ["model"]
    whole, gguf = lock.hub[f"{served.hub.url}/org/whole@main"], lock.hub[f"{served.hub.url}/org/gguf@main"]
    assert len(gguf.files) == 2
    assert {path for path in whole.files if path.endswith((".json", ".safetensors"))} == set(whole.files)
    for facts in (small.facts, model.facts, whole.facts):
        assert not isinstance(facts, str), facts
        assert facts
        found = restored(facts)
        assert found.trained > 0
        assert isinstance(found, ModelFacts) == (facts["kind"] == "gguf")
    adapter = lock.hub[f"{served.hub.url}/org/lora@main"]
    assert set(adapter.files) == {"adapter_config.json", "adapter_model.safetensors", "of.txt"}
    assert missing(adapter) == []
    assert "never-to-be-seen" not in lock_file(served.inventory).read_text()


def test_a_lock_stays_while_everything_moves_and_a_generation_with_it(served: Served) -> None:
    served.lock()
    text, generation = lock_file(served.inventory).read_text(), served.generation()
    served.publish("the next day")
    assert served.lock() == 0
    assert (lock_file(served.inventory).read_text(), served.generation()) == (text, generation)
    assert problems(served.content(), references_of(served.plan(None))) == ([], [])


@pytest.mark.parametrize("name", ["org/whole", "org/lora", "ollama"])
def test_an_upgrade_moves_what_it_names_and_nothing_else(
    served: Served, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.lock()
    before, generation = served.content(), served.generation()
    served.publish("the next day")
    capsys.readouterr()
    moved = f"{served.registry.host}/library/small:latest" if name == "ollama" else name
    assert served.lock("--data", f"upgrade={moved}") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "→" in line]
    assert moved in line
    after = served.content()
    section = "registry" if name == "ollama" else "hub"
    for each in ("hub", "registry", "addresses", "python", "sources"):
        old, new = before.section(each), after.section(each)
        assert {key for key in new if new[key] != old[key]} == (
            {key for key in new if moved in key} if each == section else set()
        )
    assert served.generation() != generation
    assert served.lock("--data", "upgrade=all") == 0
    assert served.content().hub[f"{served.hub.url}/org/gguf@main"] != before.hub[f"{served.hub.url}/org/gguf@main"]


def test_what_is_new_is_added_and_what_is_gone_goes(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.lock()
    before = served.content()
    served.publish("the next day")
    publish(served.hub.folder, "org/new", tiny_hf_files(says="new", awq=False))
    served.inventory.write_text(served.inventory.read_text().replace("org/whole", "org/new"))
    capsys.readouterr()
    assert served.lock() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line[0] in "+-"] == ["+ http", "- http"]
    after = served.content()
    assert after.registry == before.registry
    assert {key.rpartition("/")[2] for key in after.hub} == {"gguf@main", "lora@main", "new@main"}


@pytest.mark.parametrize("upgrade", ["org/nothing", "llama-cpp-python 0.3.36"])
def test_an_upgrade_of_what_does_not_move_is_refused(
    served: Served, upgrade: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.lock()
    text = lock_file(served.inventory).read_text()
    assert served.lock("--data", f"upgrade={upgrade}") == 1
    told = capsys.readouterr().err
    assert upgrade in told
    assert len(told.splitlines()) == 1
    assert lock_file(served.inventory).read_text() == text


def test_what_cannot_be_asked_leaves_the_lock_as_it_was(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.lock()
    text = lock_file(served.inventory).read_text()
    for status, told in ((401, "is gated, private, or not there"), (404, "has no revision main"), (503, "answers 503")):
        served.hub.faults.refuse_with = status
        capsys.readouterr()
        assert served.lock("--data", "upgrade=org/whole") == 1
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1
    served.hub.shutdown()
    served.hub.server_close()
    assert served.lock("--data", "upgrade=org/whole") == 1
    assert "org/whole" in capsys.readouterr().err
    assert lock_file(served.inventory).read_text() == text


def test_a_token_goes_to_its_hub_and_into_no_lock(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_TOKEN", TOKEN)
    text = served.inventory.read_text().replace('revision="main"', 'revision="main", token=EnvSecret("A_TOKEN")')
    served.inventory.write_text(text)
    served.lock()
    assert TOKEN in {(each.authorization or "").removeprefix("Bearer ") for each in served.hub.served}
    printed = capsys.readouterr()
    assert TOKEN not in lock_file(served.inventory).read_text() + printed.out + printed.err


def test_a_locked_repository_gives_the_host_its_commit_and_digests(served: Served) -> None:
    served.lock()
    lock = served.content()
    recipes = {each.recipe.repository: each.recipe for each in served.plan(lock).installs
               if isinstance(each.recipe, HubModelRecipe)}  # fmt: skip
    for repository, recipe in recipes.items():
        entry = lock.hub[f"{served.hub.url}/{repository}@main"]
        assert recipe.revision == entry.commit
        assert recipe.digests == {path: file.sha256 for path, file in entry.files.items()}
    (wanted,) = served.plan(lock).pulled
    assert wanted.digest == next(iter(lock.registry.values())).digest
    assert wanted.digest in served.plan(lock).files["ollama/ollama.json"]


def test_without_a_lock_what_moves_is_named_and_nothing_else(served: Served) -> None:
    moving, stale = problems(None, references_of(served.plan(None)))
    assert [name.rpartition("/")[2] for name in moving] == [
        "ollama-linux-amd64.tar.zst",
        "gguf@main",
        "lora@main",
        "whole@main",
        "small:latest",
    ]
    assert stale == []


def test_what_is_declared_as_something_else_is_stale_until_it_is_locked_anew(served: Served) -> None:
    served.lock()
    served.inventory.write_text(served.inventory.read_text().replace('"8" * 64', '"9" * 64'))
    assert problems(served.content(), references_of(served.plan(None))) == ([], ["llama-cpp-python 0.3.36"])
    assert served.lock() == 0
    assert problems(served.content(), references_of(served.plan(None))) == ([], [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda text: text[: len(text) // 2] + "{", "is damaged", id="cut off"),
        pytest.param(lambda text: "<<<<<<< HEAD\n" + text, "is damaged", id="a conflict"),
        pytest.param(lambda text: text.replace("commit: ", "commit: g"), "commit: string should match", id="a commit"),
        pytest.param(lambda text: text.replace("version: 1", "version: 2"), "by a newer version", id="newer"),
        pytest.param(lambda text: text.replace("kind: gguf", "kind: odd"), "facts", id="facts"),
        pytest.param(lambda text: "", "is damaged", id="empty"),
    ],
)
def test_a_damaged_lock_is_refused_in_one_message(
    served: Served, change: object, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.lock()
    path = lock_file(served.inventory)
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(LockError, match=told) as caught:
        read_lock_file(path)
    assert len(str(caught.value).splitlines()) == 1
    assert served.lock() == 1
    assert told in capsys.readouterr().err


def test_a_lock_reads_as_it_was_written_and_one_that_cannot_be_written_stays(served: Served, tmp_path: Path) -> None:
    served.lock()
    lock, path = served.content(), tmp_path / "other.lock"
    write_lock_file(path, lock, served.inventory)
    assert read_lock_file(path) == lock
    assert path.read_text() == lock_file(served.inventory).read_text()
    with pytest.raises(LockError, match="cannot be written"):
        write_lock_file(tmp_path / "nowhere" / "box.lock", lock, served.inventory)


def test_the_command_needs_no_host_and_says_what_it_locked(served: Served) -> None:
    command = [sys.executable, str(REPOSITORY / "deploys/lock.py"), str(served.inventory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "box.lock: written; 10 things are locked" in done.stdout
    assert done.stderr == ""
    done = subprocess.run([*command, "--data", "rotate=ada"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "`--data rotate=…` is for deploys/clients.py" in done.stderr
    done = subprocess.run([*command[:2], "nowhere.py"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["nowhere.py is not there: give the path of an inventory, such as inventory/gpu-box.py"],
    )
