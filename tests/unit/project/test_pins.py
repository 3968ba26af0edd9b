"""The inventories that the project ships refer to nothing that moves, and to nothing that docs/pins.md does not list.

Not `lab.py`: what it refers to is made by the lab, and cannot be known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from roles.llama_cpp import LlamaCppBuild, LlamaServer
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import HubFile, HubModel, Options, Provider, PythonSdist, UrlFile
from roles.vllm import Vllm
from tests.inventories import INVENTORY, load_stack
from tests.labhost.paths import REPOSITORY

_PAGE = REPOSITORY / "docs/pins.md"
_SHIPPED = sorted(path.name for path in INVENTORY.glob("*.py") if path.name != "lab.py")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Reference:
    """What an inventory refers to. `pinned` is the digest, or for a whole repository the commit; None = it may move."""

    version: str
    file: str
    pinned: str | None


def _options(value: object) -> Iterator[Options]:
    """All options within a value."""
    if isinstance(value, Options):
        yield value
        for name in type(value).model_fields:
            yield from _options(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _options(item)


def _references(declared: Options) -> Iterator[Reference]:
    for options in _options(declared):
        match options:
            case HubModel():
                commit = options.revision if _COMMIT.fullmatch(options.revision) else None
                yield Reference(options.revision, "", commit)
            case HubFile():
                # The parts of a split model are pinned by the commit.
                digest = options.sha256 if len(options.files) == 1 else options.revision
                commit = digest if _COMMIT.fullmatch(options.revision) else None
                yield Reference(options.revision, options.file if len(options.files) == 1 else "", commit)
            case UrlFile():  # and archives by address
                yield Reference(options.url, options.filename, options.sha256)
            case PythonSdist():
                yield Reference(options.version, "", options.sha256)
            case OllamaRelease():
                for address, sha256 in options.archives:
                    yield Reference(options.version, address.rsplit("/", 1)[-1], sha256)
            case Ollama():
                # Also those that are given by name alone.
                yield from (Reference(model.name, "", model.digest) for model in options.declared if not model.gguf)


def _problems(declared: Options, page: str) -> list[str]:
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    listed = {(version, file, digest or version) for _, version, file, digest, _ in rows}
    return [
        f"{each.version} {each.file}: {'is not on the page of pins' if each.pinned else 'has no pin'}"
        for each in _references(declared)
        if (each.version, each.file, each.pinned) not in listed
    ]


@pytest.mark.parametrize("file", _SHIPPED)
def test_a_shipped_inventory_refers_to_what_is_pinned_and_listed(file: str) -> None:
    stack = load_stack(file, file.removesuffix(".py"))
    assert len(list(_references(stack))) > 1
    assert _problems(stack, _PAGE.read_text()) == []


def _with(model: HubFile | HubModel | str | OllamaModel, release: OllamaRelease | None = None) -> Provider:
    """A server with that model."""
    if isinstance(model, HubFile):
        build = LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.36", sha256="8" * 64))
        return LlamaServer(name="one", port=8080, build=build, model=model, served_name="one")
    if isinstance(model, HubModel):
        return Vllm(name="one", port=8001, model=model)
    return Ollama(release=release or OllamaRelease(version="1.0", sha256="a" * 64), models=(model,))


_LISTED = (
    f"| a | `{'c' * 40}` | `a.gguf` | `{'d' * 64}` | 1 |\n"
    f"| b | `{'c' * 40}` | | | |\n"
    f"| o | `1.0` | `ollama-linux-amd64.tar.zst` | `{'a' * 64}` | |\n"
    f"| m | `tiny:1b` | | `{'e' * 64}` | |\n"
    f"| s | `0.3.36` | | `{'8' * 64}` | |\n"
)


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        pytest.param(
            _with(HubFile(repository="a/b", revision="main", file="a.gguf", sha256="d" * 64)),
            "main a.gguf: has no pin",
            id="a file of a branch",
        ),
        pytest.param(
            _with(HubFile(repository="a/b", revision="c" * 40, file="a.gguf")),
            f"{'c' * 40} a.gguf: has no pin",
            id="a file without a digest",
        ),
        pytest.param(
            _with(HubFile(repository="a/b", revision="c" * 40, file="no-such.gguf", sha256="d" * 64)),
            f"{'c' * 40} no-such.gguf: is not on the page of pins",
            id="a file that is not listed",
        ),
        pytest.param(_with(HubModel(repository="a/b", revision="v1.0")), "v1.0 : has no pin", id="a model of a tag"),
        pytest.param(
            _with(HubModel(repository="a/b", revision="f" * 40)),
            f"{'f' * 40} : is not on the page of pins",
            id="a model that is not listed",
        ),
        pytest.param(_with("tiny:1b"), "tiny:1b : has no pin", id="a model by its name"),
        pytest.param(
            _with(OllamaModel(name="tiny:1b", digest="f" * 64)),
            "tiny:1b : is not on the page of pins",
            id="a model of a digest that is not listed",
        ),
        pytest.param(
            _with(OllamaModel(name="tiny:1b", digest="e" * 64), OllamaRelease(version="1.0")),
            "1.0 ollama-linux-amd64.tar.zst: has no pin",
            id="a release without a digest",
        ),
    ],
)
def test_what_moves_or_is_not_listed_is_named(provider: Provider, problem: str) -> None:
    assert _problems(provider, _LISTED) == [problem]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(HubFile(repository="a/b", revision="c" * 40, file="a.gguf", sha256="d" * 64), id="a file"),
        pytest.param(HubModel(repository="a/b", revision="c" * 40), id="a model"),
        pytest.param(OllamaModel(name="tiny:1b", digest="e" * 64), id="a model of Ollama"),
    ],
)
def test_what_is_pinned_and_listed_is_fine(model: HubFile | HubModel | OllamaModel) -> None:
    assert _problems(_with(model), _LISTED) == []
