"""Fetching from a Hub: the wanted files of one commit, each checked, none twice, the token to the Hub alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import HubModelRecipe
from roles.host.programs.below import REVISION_FILE
from roles.host.programs.console import HostError
from roles.host.programs.installers.hub import fetch_from_hub
from roles.options import HubFile
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
FILES = {
    "config.json": b"{}",
    "model-00001.safetensors": WEIGHTS,
    "nested/tokenizer.json": b"[1]",
    "pytorch_model.bin": b"x" * 5000,
    "README.md": b"# hello",
}
TOKEN = "hf_never_to_be_seen_anywhere"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.host.programs.installers.download.time.sleep", lambda seconds: None)


@pytest.fixture
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyMirror]:
    folder = tmp_path_factory.mktemp("hub")
    publish(folder, "org/model", FILES)
    with FaultyMirror(folder, "127.0.0.1") as mirror:
        yield mirror


def fetch(mirror: FaultyMirror, folder: Path, token: str | None = None, **changes: Any) -> None:
    recipe = HubModelRecipe(
        endpoint=mirror.url,
        repository="org/model",
        revision="main",
        files=("*.safetensors", "*.json"),
        sha256=None,
    )
    folder.mkdir(exist_ok=True)
    fetch_from_hub(replace(recipe, **changes), folder, "a model", token)


def content(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop(REVISION_FILE)
    return found


def test_the_wanted_files_come_and_no_others(mirror: FaultyMirror, tmp_path: Path) -> None:
    fetch(mirror, tmp_path / "m")
    wanted = ("config.json", "model-00001.safetensors", "nested/tokenizer.json")
    assert content(tmp_path / "m") == {path: FILES[path] for path in wanted}


OLD = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS, "training_args.bin": b"pickle", "README.md": b"# hello"}


def test_a_repository_without_safetensors_gives_its_bin_and_not_what_training_left(
    mirror: FaultyMirror, tmp_path: Path
) -> None:
    publish(mirror.folder, "org/model", OLD)
    fetch(mirror, tmp_path / "m", instead=("*.bin",))
    assert content(tmp_path / "m") == {path: OLD[path] for path in ("config.json", "pytorch_model.bin")}


def test_bin_is_not_fetched_beside_safetensors(mirror: FaultyMirror, tmp_path: Path) -> None:
    fetch(mirror, tmp_path / "m", instead=("*.bin",))
    assert "pytorch_model.bin" not in content(tmp_path / "m")


def test_patterns_that_find_no_weights_are_refused_with_what_is_there(mirror: FaultyMirror, tmp_path: Path) -> None:
    publish(mirror.folder, "org/model", OLD)
    with pytest.raises(HostError, match=r"\*.json finds no weights .* \(it has 'pytorch_model.bin', 'README.md'"):
        fetch(mirror, tmp_path / "m", files=("*.safetensors", "*.json"), instead=())
    assert content_or_nothing(tmp_path / "m") == {}


def content_or_nothing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_commit_that_a_branch_led_to_is_recorded(mirror: FaultyMirror, tmp_path: Path) -> None:
    fetch(mirror, tmp_path / "m")
    commit = publish(mirror.folder, "org/model", FILES)
    record = json.loads((tmp_path / "m" / REVISION_FILE).read_text())
    assert record == {"repository": "org/model", "revision": "main", "commit": commit}


def test_a_cut_download_is_resumed_and_nothing_is_sent_twice(mirror: FaultyMirror, tmp_path: Path) -> None:
    mirror.faults.cut_after = 300_000
    fetch(mirror, tmp_path / "m")
    assert content(tmp_path / "m")["model-00001.safetensors"] == WEIGHTS
    weights = [served for served in mirror.served if served.path.endswith(".safetensors")]
    assert sum(served.sent for served in weights) == len(WEIGHTS)
    assert len(weights) == 4


def test_files_that_an_earlier_run_fetched_are_not_fetched_again(mirror: FaultyMirror, tmp_path: Path) -> None:
    fetch(mirror, tmp_path / "m")
    mirror.served.clear()
    fetch(mirror, tmp_path / "m")
    assert [served.path for served in mirror.served if "/resolve/" in served.path] == []


@pytest.mark.parametrize("path", ["model-00001.safetensors", "config.json"])
def test_a_corrupted_file_is_refused_and_named(mirror: FaultyMirror, tmp_path: Path, path: str) -> None:
    (served,) = mirror.folder.glob(f"org/model/resolve/*/{path}")
    served.write_bytes(bytes(reversed(served.read_bytes())))
    with pytest.raises(HostError, match=rf"{path} has the digest [0-9a-f]+, not [0-9a-f]+ as declared"):
        fetch(mirror, tmp_path / "m")
    assert not (tmp_path / "m" / path).exists()


def test_a_pinned_digest_beats_what_the_hub_says(mirror: FaultyMirror, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"not {'f' * 64} as declared"):
        fetch(mirror, tmp_path / "m", files=("config.json",), sha256="f" * 64)


def test_a_gated_repository_says_what_to_do_and_never_shows_the_token(
    mirror: FaultyMirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.faults.wants_token = TOKEN
    with pytest.raises(HostError, match=r"Accept its licence on its page, and give the model a `token`"):
        fetch(mirror, tmp_path / "m")
    with pytest.raises(HostError, match=r"the token may not read it") as caught:
        fetch(mirror, tmp_path / "m", token="hf_somebody_elses")
    assert "hf_somebody_elses" not in str(caught.value)
    fetch(mirror, tmp_path / "m", token=TOKEN)
    assert "config.json" in content(tmp_path / "m")
    assert TOKEN not in capsys.readouterr().out


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(mirror: FaultyMirror, tmp_path: Path) -> None:
    mirror.faults.wants_token = TOKEN
    with FaultyMirror(mirror.folder, "127.0.0.1") as storage:
        mirror.faults.redirect_to = storage.url
        fetch(mirror, tmp_path / "m", token=TOKEN)
        assert len(storage.served) == 3
        assert {served.authorization for served in storage.served} == {None}
    assert "config.json" in content(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            {"revision": "no-such"}, "has no revision no-such, or there is no such repository", id="no such revision"
        ),
        pytest.param({"repository": "org/none"}, "org/none on http", id="no such repository"),
        pytest.param({"files": ["*.gguf"]}, r"has no file that matches \*\.gguf at", id="no such file"),
        pytest.param(
            {"endpoint": "http://127.0.0.1:9"},
            r"cannot be asked for org/model: .*refused.*; run again",
            id="no such server",
        ),
    ],
)
def test_what_is_not_there_is_told(mirror: FaultyMirror, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(HostError, match=told):
        fetch(mirror, tmp_path / "m", **change)


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    mirror: FaultyMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roles.host.programs.installers.download._RESERVE", 1 << 60)
    with pytest.raises(HostError, match="Nothing was fetched; make room"):
        fetch(mirror, tmp_path / "m")
    assert [served.path for served in mirror.served if "/resolve/" in served.path] == []


PARTS = tuple(f"Q4/model-0000{number}-of-00003.gguf" for number in (1, 2, 3))


def test_all_parts_of_a_split_model_come_side_by_side(mirror: FaultyMirror, tmp_path: Path) -> None:
    publish(mirror.folder, "org/model", {**FILES, **{part: part.encode() for part in PARTS}})
    fetch(mirror, tmp_path / "m", files=HubFile(repository="org/model", revision="main", file=PARTS[0]).files)
    assert content(tmp_path / "m") == {part: part.encode() for part in PARTS}


def test_a_part_that_the_hub_does_not_have_is_named_before_any_is_fetched(mirror: FaultyMirror, tmp_path: Path) -> None:
    publish(mirror.folder, "org/model", dict.fromkeys(PARTS[:2], b"x"))
    with pytest.raises(HostError, match=rf"org/model has no {PARTS[2]} at [0-9a-f]+, and all parts are needed"):
        fetch(mirror, tmp_path / "m", files=PARTS)
    assert [served.path for served in mirror.served if "/resolve/" in served.path] == []
