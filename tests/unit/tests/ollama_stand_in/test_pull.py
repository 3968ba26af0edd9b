"""Pulling from a registry that behaves, and from ones that do not."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ollama_stand_in.process import StandIn, running
from tests.ollama_stand_in.registry import ModelRegistry, RegistryFaults, publish
from tests.ollama_stand_in.replay import ask, pieces_of

SIZE = 4 << 20
"""Bytes of the model that is pulled here; nobody loads it."""


@pytest.fixture
def big(registry: ModelRegistry) -> str:
    """The name of a model that takes a while to send."""
    weights = registry.folder / "big.gguf"
    weights.write_bytes(random.Random(0).randbytes(SIZE))
    publish(registry.folder, "library/big", "latest", weights)
    return f"{registry.host}/library/big"


def pull_request(name: str) -> dict[str, Any]:
    return {"method": "POST", "path": "/api/pull", "body": json.dumps({"model": name, "insecure": True})}


def pull(stand_in: StandIn, name: str) -> list[dict[str, Any]]:
    """The lines of progress."""
    return [json.loads(piece) for piece in ask(stand_in.port, pull_request(name)).pieces]


def names(stand_in: StandIn) -> list[str]:
    listed = json.loads(ask(stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    return [model["name"] for model in listed]


def blob_files(stand_in: StandIn, kind: str = "*") -> list[Path]:
    return sorted((stand_in.models / "blobs").glob(kind))


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_the_registry_is_asked_as_the_real_server_asks(
    stand_in: StandIn, registry: ModelRegistry, ggufs: dict[str, Path]
) -> None:
    """Manifest; then for each layer its size, where it lies, and there a part. A second pull asks for the manifest."""
    digest = publish(registry.folder, "library/small", "latest", ggufs["say.gguf"])
    name = f"{registry.host}/library/small"
    assert pull(stand_in, name)[-1] == {"status": "success"}
    manifest = json.loads((registry.folder / "manifests/library/small/latest").read_text())
    blob = "/v2/library/small/blobs/"
    expected: list[tuple[str, str, int, str | None]] = [("GET", "/v2/library/small/manifests/latest", 200, None)]
    for layer in (*manifest["layers"], manifest["config"]):
        expected += [
            ("HEAD", blob + layer["digest"], 200, None),
            ("GET", blob + layer["digest"], 307, None),
            ("GET", "/direct/" + layer["digest"], 206, f"bytes=0-{layer['size'] - 1}"),
        ]
    assert [(asked.method, asked.path, asked.status, asked.range) for asked in registry.asked] == expected
    registry.asked.clear()
    pull(stand_in, name)
    assert [asked.path for asked in registry.asked] == ["/v2/library/small/manifests/latest"]
    listed = json.loads(ask(stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    assert [model["digest"] for model in listed] == [digest]


def test_progress_is_told_while_a_layer_comes(stand_in: StandIn, registry: ModelRegistry, big: str) -> None:
    registry.faults = RegistryFaults(seconds_a_chunk=0.01)
    told = [line["completed"] for line in pull(stand_in, big) if "completed" in line and line["total"] == SIZE]
    assert told == sorted(told)
    assert len(set(told)) > 3


def test_what_a_broken_off_pull_leaves_on_disk_is_gone_on_with(
    stand_in: StandIn, registry: ModelRegistry, big: str
) -> None:
    registry.faults = RegistryFaults(seconds_a_chunk=0.02)
    lines = pieces_of(stand_in.port, pull_request(big))
    while json.loads(next(lines)).get("completed", 0) < SIZE / 8:
        pass
    lines.close()
    wait_until(lambda: bool(noted(stand_in)["Completed"]))
    note = noted(stand_in)
    assert note == {"N": 0, "Offset": 0, "Size": SIZE, "Completed": note["Completed"]}
    (partial,) = blob_files(stand_in, "*-partial")
    assert partial.stat().st_size == SIZE
    assert names(stand_in) == []

    registry.faults = RegistryFaults()
    registry.asked.clear()
    assert pull(stand_in, big)[-1] == {"status": "success"}
    assert next(asked.range for asked in registry.asked if asked.range) == f"bytes={note['Completed']}-{SIZE - 1}"
    assert blob_files(stand_in, "*partial*") == []


def noted(stand_in: StandIn) -> dict[str, int]:
    (path,) = blob_files(stand_in, "*-partial-0")
    note: dict[str, int] = json.loads(path.read_text() or '{"Completed": 0}')
    return note


def test_a_server_that_is_told_to_end_goes_on_with_the_pull_after_its_next_start(
    tree: Path, tmp_path: Path, registry: ModelRegistry, big: str
) -> None:
    registry.faults = RegistryFaults(seconds_a_chunk=0.02)
    with running(tree, tmp_path / "stand-in") as stand_in:
        lines = pieces_of(stand_in.port, pull_request(big))
        while json.loads(next(lines)).get("completed", 0) < SIZE / 8:
            pass
    completed = noted(stand_in)["Completed"]
    assert completed >= SIZE / 8
    registry.faults = RegistryFaults()
    registry.asked.clear()
    with running(tree, tmp_path / "stand-in") as stand_in:
        assert pull(stand_in, big)[-1] == {"status": "success"}
    assert next(asked.range for asked in registry.asked if asked.range) == f"bytes={completed}-{SIZE - 1}"


def test_a_registry_that_cuts_transfers_is_asked_for_the_rest(
    stand_in: StandIn, registry: ModelRegistry, big: str
) -> None:
    registry.faults = RegistryFaults(cut_after=SIZE // 2 + 1)
    assert pull(stand_in, big)[-1] == {"status": "success"}
    ranges = [asked.range for asked in registry.asked if asked.range and asked.range.endswith(str(SIZE - 1))]
    assert ranges == [f"bytes=0-{SIZE - 1}", f"bytes={SIZE // 2 + 1}-{SIZE - 1}"]


def test_corrupt_bytes_are_refused_and_not_kept(stand_in: StandIn, registry: ModelRegistry, big: str) -> None:
    registry.faults = RegistryFaults(flip_byte=SIZE - 1)
    *_, verifying, last = pull(stand_in, big)
    assert verifying == {"status": "verifying sha256 digest"}
    wanted = hashlib.sha256((registry.folder / "big.gguf").read_bytes()).hexdigest()
    assert last["error"].startswith(
        f"digest mismatch, file must be downloaded again: want sha256:{wanted}, got sha256:"
    )
    assert names(stand_in) == []
    assert not (stand_in.models / "blobs" / f"sha256-{wanted}").exists()
    registry.faults = RegistryFaults()
    assert pull(stand_in, big)[-1] == {"status": "success"}


def test_a_registry_without_ranges_is_found_out_by_the_digest(
    stand_in: StandIn, registry: ModelRegistry, big: str
) -> None:
    """It sends the beginning again in the place of the rest."""
    registry.faults = RegistryFaults(cut_after=SIZE // 2 + 1, ignore_range=True)
    assert pull(stand_in, big)[-1]["error"].startswith("digest mismatch, file must be downloaded again")


def test_two_pulls_at_once_share_the_transfer(stand_in: StandIn, registry: ModelRegistry, big: str) -> None:
    registry.faults = RegistryFaults(seconds_a_chunk=0.01)
    ends: list[dict[str, Any]] = []
    pulls = [threading.Thread(target=lambda: ends.append(pull(stand_in, big)[-1])) for _ in range(2)]
    for started in pulls:
        started.start()
    for started in pulls:
        started.join(30)
    assert ends == [{"status": "success"}] * 2
    assert len([asked for asked in registry.asked if asked.range == f"bytes=0-{SIZE - 1}"]) == 1


def test_a_registry_that_serves_blobs_itself_is_not_understood(
    stand_in: StandIn, registry: ModelRegistry, big: str
) -> None:
    registry.faults = RegistryFaults(no_redirect=True)
    assert pull(stand_in, big)[-1] == {"error": "http: no Location header in response"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, "file does not exist"), (429, "429: "), (500, "500: ")],
)
def test_a_refused_blob_ends_the_pull(
    stand_in: StandIn, registry: ModelRegistry, big: str, status: int, error: str
) -> None:
    """It asks for the size first, and an answer to that has no text."""
    registry.faults = RegistryFaults(refuse_blob_with=status, refusal="slow down")
    assert pull(stand_in, big)[-1] == {"error": error}
    assert names(stand_in) == []


def test_a_blob_that_needs_a_login_nowhere_ends_the_pull(stand_in: StandIn, registry: ModelRegistry, big: str) -> None:
    registry.faults = RegistryFaults(refuse_blob_with=401)
    error = f'realm host "" does not match original host "{registry.host}"'
    assert pull(stand_in, big)[-1] == {"error": error}


def test_a_registry_whose_name_is_unknown_is_told(stand_in: StandIn) -> None:
    """In a domain that is set aside for names that do not exist."""
    told = pull(stand_in, "registry.invalid/library/nope")[-1]["error"]
    begin = 'pull model manifest: Get "http://registry.invalid/v2/library/nope/manifests/latest": dial tcp: lookup'
    assert told.startswith(f"{begin} registry.invalid on ")
    assert told.endswith(": no such host")
