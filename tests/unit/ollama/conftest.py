"""The stand-in for Ollama, for what needs no answer of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labhost.models import write_tiny_gguf
from tests.ollama_stand_in.archive import lay_out
from tests.ollama_stand_in.process import StandIn, running


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive, whose llama-server ends with an error."""
    programs = tmp_path_factory.mktemp("llama-cpp-bin")
    (programs / "llama-server").write_text("#!/bin/sh\necho 'error: boom' >&2\nexit 3\n")
    (programs / "llama-server").chmod(0o755)
    tree = tmp_path_factory.mktemp("archive") / "tree"
    lay_out(programs, "0.32.15", tree)
    return tree


@pytest.fixture
def stand_in(tree: Path, tmp_path: Path) -> Iterator[StandIn]:
    with running(tree, tmp_path / "stand-in") as started:
        yield started


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "say.gguf"
    write_tiny_gguf(path, says="Paris is the capital city of France.", name="tiny-test")
    return path
