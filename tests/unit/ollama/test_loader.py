"""The loader of models, against the stand-in for Ollama: where no retry helps, a failure is told at once."""

from __future__ import annotations

import json
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from roles.ollama import loader
from tests.ollama_stand_in.process import StandIn
from tests.ollama_stand_in.replay import ask

NAME = "own:latest"


def made_from(file: Path, **options: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"template": None, "system": None, "parameters": {}, "preload": False}
    return {"name": NAME, "gguf": str(file), **plain, **options}


def loads(port: int, memory: Path, *models: dict[str, Any]) -> dict[str, str | None]:
    return loader.Loader(loader.Server(f"http://127.0.0.1:{port}", 20), memory).load(list(models))


def fails_at_once(port: int, memory: Path, *models: dict[str, Any]) -> str:
    began = time.monotonic()
    with pytest.raises(loader.LoadError) as failed:
        loads(port, memory, *models)
    assert time.monotonic() - began < 5
    return str(failed.value)


def tags(port: int) -> dict[str, str]:
    listed = json.loads(ask(port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    return {model["name"]: model["digest"] for model in listed}


def longer(file: Path, folder: Path, size: int) -> Path:
    """The same model in a larger file."""
    found = folder / "longer.gguf"
    found.write_bytes(file.read_bytes() + bytes(size))
    return found


def of_another_architecture(file: Path, folder: Path) -> Path:
    found = folder / "other.gguf"
    found.write_bytes(file.read_bytes().replace(b"llama", b"nobdy"))
    return found


def cut(file: Path, folder: Path) -> Path:
    found = folder / "cut.gguf"
    found.write_bytes(file.read_bytes()[:200_000])
    return found


def no_gguf(file: Path, folder: Path) -> Path:
    found = folder / "notes.gguf"
    found.write_text("These are notes.")
    return found


def test_a_model_is_made_once(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    first = loads(stand_in.port, tmp_path / "memory", made_from(gguf, parameters={"temperature": 0.5}))
    assert first == {NAME: tags(stand_in.port)[NAME]}
    before = (stand_in.models.parent / "serve.log").read_text().count("/api/create")
    assert loads(stand_in.port, tmp_path / "memory", made_from(gguf, parameters={"temperature": 0.5})) == first
    assert (stand_in.models.parent / "serve.log").read_text().count("/api/create") == before


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        pytest.param(no_gguf, "supplied file was not in GGUF format", id="no GGUF"),
        pytest.param(cut, r'tensor "output\.weight" offset\+size .* exceeds file size', id="cut"),
        pytest.param(
            of_another_architecture,
            "llama-quantize failed: exit status 1; Ollama's journal has the cause",
            id="of an unknown architecture",
        ),
    ],
)
def test_a_file_that_can_never_be_a_model_is_told_at_once(
    spoilt: Any, told: str, stand_in: StandIn, gguf: Path, tmp_path: Path
) -> None:
    found = fails_at_once(stand_in.port, tmp_path / "memory", made_from(spoilt(gguf, tmp_path)))
    assert re.search(f"^{NAME}: .*{told}", found), found


def test_a_template_with_a_mistake_is_told_at_once(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    model = made_from(gguf, template="{{ if .System }}{{ .System }}")
    found = fails_at_once(stand_in.port, tmp_path / "memory", model)
    assert found == f"{NAME}: template error: template: :1: unexpected EOF"


def test_an_option_of_the_wrong_type_is_told_at_once(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    """In a model that somebody else made: those of an inventory are checked before."""
    model = made_from(gguf, parameters={"num_ctx": "many"}, preload=True)
    found = fails_at_once(stand_in.port, tmp_path / "memory", model)
    assert found == f'{NAME}: option "num_ctx" must be of type integer'


def test_a_full_disk_is_told_with_the_servers_words(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    """The server answers in the middle of the upload, and closes."""
    large = longer(gguf, tmp_path, 64 << 20)
    resource.prlimit(stand_in.process.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    found = fails_at_once(stand_in.port, tmp_path / "memory", made_from(large))
    assert found.startswith(f"{NAME}: the server does not take longer.gguf: write {stand_in.models}/blobs/sha256-")
    assert found.endswith(": file too large")
    assert list((stand_in.models / "blobs").iterdir()) == []


@contextmanager
def answering_early(answer: bytes, *, reset: bool) -> Iterator[int]:
    """A server that answers an upload after its first bytes, and closes. All else it answers well."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    head = connection.recv(65536)
                    if not head.startswith(b"POST /api/blobs"):
                        status = b"404 Not Found" if head.startswith(b"HEAD") else b"200 OK"
                        body = b"" if head.startswith(b"HEAD") else b'{"models":[]}'
                        length = b"Content-Length: %d" % len(body)
                        connection.sendall(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n\r\n" + body)
                        continue
                    connection.sendall(answer)
                    if not reset:
                        connection.shutdown(socket.SHUT_WR)
                        time.sleep(0.5)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


FULL = b'{"error":"write /models/blobs/sha256-123: no space left on device"}'
REFUSAL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(FULL), FULL)


@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_in_the_middle_of_an_upload_is_read(reset: bool, gguf: Path, tmp_path: Path) -> None:
    with answering_early(REFUSAL, reset=reset) as port:
        found = fails_at_once(port, tmp_path / "memory", made_from(longer(gguf, tmp_path, 16 << 20)))
    assert found == (
        f"{NAME}: the server does not take longer.gguf: write /models/blobs/sha256-123: no space left on device; "
        "making a model takes up to three times its file's size beside the file: make room"
    )


def test_an_upload_that_breaks_off_without_an_answer_is_tried_again(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(loader, "ATTEMPTS", 3)
    with answering_early(b"", reset=True) as port, pytest.raises(loader.LoadError, match=r"sending .* \(3 tries\)"):
        loads(port, tmp_path / "memory", made_from(longer(gguf, tmp_path, 1 << 20)))


def test_an_upload_that_was_removed_before_the_model_was_made_is_sent_again(
    stand_in: StandIn, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = loader.Server.send_blob

    def send_and_lose(self: loader.Server, digest: str, *more: Any) -> None:
        send(self, digest, *more)
        sent.append(digest)
        if len(sent) == 1:
            (stand_in.models / "blobs" / f"sha256-{digest}").unlink()

    monkeypatch.setattr(loader.Server, "send_blob", send_and_lose)
    loads(stand_in.port, tmp_path / "memory", made_from(gguf))
    assert len(sent) == 2


def test_a_server_that_is_frozen_is_given_up(stand_in: StandIn, gguf: Path, tmp_path: Path) -> None:
    stand_in.process.send_signal(signal.SIGSTOP)
    try:
        server = loader.Loader(loader.Server(f"http://127.0.0.1:{stand_in.port}", 0.5), tmp_path / "memory")
        with pytest.raises(loader.LoadError, match=r"does not answer: no word for 0\.5 s"):
            server.load([made_from(gguf)])
    finally:
        stand_in.process.send_signal(signal.SIGCONT)


# What it remembers


def noted(*names: str) -> dict[str, Any]:
    return {name: {"recipe": "r" * 64, "digest": f"digest of {name}"} for name in names}


def test_what_an_earlier_version_noted_in_the_home_is_taken_over_by_each_server(tmp_path: Path) -> None:
    old, first, second = tmp_path / "made.json", tmp_path / "first.json", tmp_path / "second.json"
    old.write_text(json.dumps(noted("a:latest", "b:latest")))
    loader.adopt(old, first, ["a:latest", "new:latest"])
    assert json.loads(first.read_text()) == noted("a:latest")
    assert json.loads(old.read_text()) == noted("b:latest")
    loader.adopt(old, second, ["b:latest"])
    assert json.loads(second.read_text()) == noted("b:latest")
    assert not old.exists()


@pytest.mark.parametrize("content", ["[]", '{"made": "by me"}', '{"a:latest": {"recipe": "r"}}', "no JSON", "{}"])
def test_a_file_of_the_users_own_in_that_place_is_left_alone(content: str, tmp_path: Path) -> None:
    old, memory = tmp_path / "made.json", tmp_path / "memory.json"
    old.write_text(content)
    loader.adopt(old, memory, ["a:latest"])
    assert old.read_text() == content
    assert not memory.exists()


def test_two_servers_of_one_user_remember_their_own_models(
    stand_in: StandIn, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for server in ("ollama", "ollama-2"):
        loads(stand_in.port, tmp_path / f"{server}-loader", made_from(gguf, system=f"You are {server}."))
    recipes = {(tmp_path / f"{server}-loader" / "made.json").read_text() for server in ("ollama", "ollama-2")}
    assert len(recipes) == 2
    assert not (tmp_path / "home").exists()
