"""What no inventory declares and no model uses is removed from an Ollama server, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from roles.ollama import pruner
from tests.ollama_stand_in.process import StandIn
from tests.ports import refusing_port
from tests.unit.ollama.test_loader import loads, made_from, tags


def prune(port: int, store: Path, folder: Path, *declared: str) -> int:
    models = [{"name": name} for name in declared]
    request = {"server": f"http://127.0.0.1:{port}", "timeout": 5, "store": str(store), "models": models}
    (folder / "request.json").write_text(json.dumps(request))
    return pruner.main([str(folder / "request.json")])


def blobs(stand_in: StandIn) -> set[str]:
    return {path.name for path in (stand_in.models / "blobs").iterdir()}


def make(stand_in: StandIn, gguf: Path, folder: Path, name: str, **options: Any) -> None:
    loads(stand_in.port, folder / f"memory-{name}", {**made_from(gguf, **options), "name": name})


def test_the_upload_of_a_model_goes_and_the_model_stays(
    stand_in: StandIn, gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(stand_in, gguf, tmp_path, "own:latest")
    before, kept = blobs(stand_in), tags(stand_in.port)
    assert prune(stand_in.port, stand_in.models, tmp_path, "own") == 0
    (upload,) = before - blobs(stand_in)
    assert upload == f"sha256-{hashlib.sha256(gguf.read_bytes()).hexdigest()}"
    assert tags(stand_in.port) == kept
    assert f"{stand_in.models}: {gguf.stat().st_size / 1e6:.1f} MB freed that no model uses" in capsys.readouterr().out
    make(stand_in, gguf, tmp_path, "own:latest")  # needs no upload
    assert prune(stand_in.port, stand_in.models, tmp_path, "own") == 0


def test_a_model_that_is_not_declared_goes_with_all_that_it_was_made_from(
    stand_in: StandIn, gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(stand_in, gguf, tmp_path, "own:latest", system="Be brief.")
    assert prune(stand_in.port, stand_in.models, tmp_path) == 0
    assert (tags(stand_in.port), blobs(stand_in)) == ({}, set())
    assert "Ollama's model own:latest: removed, " in capsys.readouterr().out


def test_downloads_that_are_not_complete_and_files_of_others_stay(
    stand_in: StandIn, gguf: Path, tmp_path: Path
) -> None:
    kept = {f"sha256-{'a' * 64}-partial", f"sha256-{'a' * 64}-partial-0", "notes.txt"}
    make(stand_in, gguf, tmp_path, "own:latest")
    for name in kept:
        (stand_in.models / "blobs" / name).write_text("x")
    prune(stand_in.port, stand_in.models, tmp_path)
    assert blobs(stand_in) == kept


def test_a_damaged_manifest_protects_everything(
    stand_in: StandIn, gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(stand_in, gguf, tmp_path, "own:latest")
    damaged = stand_in.models / "manifests/registry.ollama.ai/library/broken/latest"
    damaged.parent.mkdir()
    damaged.write_text("{not json")
    before = blobs(stand_in)
    assert prune(stand_in.port, stand_in.models, tmp_path, "own") == 0
    assert blobs(stand_in) == before
    assert f"{damaged} is damaged" in capsys.readouterr().out


def test_no_link_is_followed_out_of_the_folder(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    make(stand_in, gguf, tmp_path, "own:latest")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"sha256-{'b' * 64}").write_text("x")
    (stand_in.models / "blobs").rename(tmp_path / "away")
    (stand_in.models / "blobs").symlink_to(elsewhere)
    assert prune(stand_in.port, stand_in.models, tmp_path, "own") == 1
    assert len(list(elsewhere.iterdir())) == 1


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with refusing_port() as port:
        assert prune(port, tmp_path, tmp_path) == 1
    assert "GET /api/tags: " in capsys.readouterr().err
