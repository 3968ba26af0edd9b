"""What the control machine knows of models whose files lie on it."""

from __future__ import annotations

from pathlib import Path

from roles.fit.facts import ModelFacts
from roles.host import facts_of_source
from roles.options import LocalFile
from tests.hollow_models import Hollow, write_hollow


def source(path: Path) -> LocalFile:
    return LocalFile(path=str(path), sha256="0" * 64)


def test_a_local_file_has_the_facts_of_its_header(tmp_path: Path) -> None:
    found = facts_of_source(source(write_hollow(tmp_path / "m.gguf", Hollow(layers=3))))
    assert isinstance(found, ModelFacts)
    assert len(found.layers) == 3


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"no model")
    assert "No such file" in str(facts_of_source(source(tmp_path / "gone.gguf")))
    assert "no GGUF file" in str(facts_of_source(source(tmp_path / "x.gguf")))


def test_a_model_of_elsewhere_is_not_known() -> None:
    assert facts_of_source("llama3.1:latest") == "its size is in no lock"
