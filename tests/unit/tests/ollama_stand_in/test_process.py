"""The stand-in as a program: how it starts and ends, what it reads from its environment, and what it leaves on disk."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.ollama_stand_in.process import StandIn, running, serve
from tests.ollama_stand_in.replay import ask
from tests.ollama_stand_in.server.environment import listen_address, settings
from tests.ollama_stand_in.server.go_formats import FOREVER, SECOND
from tests.ports import free_port, refusing_port


def upload(stand_in: StandIn, gguf: Path) -> str:
    data = gguf.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    ask(stand_in.port, {"method": "POST", "path": f"/api/blobs/{digest}"}, data)
    return digest


def create(stand_in: StandIn, name: str, gguf: Path) -> None:
    request = {"model": name, "files": {"model.gguf": upload(stand_in, gguf)}, "stream": False}
    answer = ask(stand_in.port, {"method": "POST", "path": "/api/create", "body": json.dumps(request)})
    assert answer.pieces == ['{"status":"success"}']


def names(stand_in: StandIn) -> list[str]:
    listed = json.loads(ask(stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    return [model["name"] for model in listed]


def command(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"HOME": "/nonexistent", "PATH": os.environ["PATH"], **environment}
    return subprocess.run([tree / "bin" / "ollama", *arguments], env=given, capture_output=True, text=True, check=False)


def test_an_upload_of_which_only_a_part_has_room_is_refused(stand_in: StandIn) -> None:
    """The part that has room is taken without an error."""
    data = b"x" * 1000
    path = f"/api/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    resource.prlimit(stand_in.process.pid, resource.RLIMIT_FSIZE, (len(data) - 1, resource.RLIM_INFINITY))
    answer = ask(stand_in.port, {"method": "POST", "path": path}, data)
    assert answer.status == "HTTP/1.1 500 Internal Server Error"
    assert json.loads(answer.pieces[0])["error"].endswith(": file too large")
    assert list((stand_in.models / "blobs").iterdir()) == []


def test_the_program_tells_its_version(tree: Path, stand_in: StandIn) -> None:
    running_server = command(tree, "--version", OLLAMA_HOST=f"127.0.0.1:{stand_in.port}")
    assert running_server.stdout == "ollama version is 0.32.15\n"
    with refusing_port() as port:
        no_server = command(tree, "--version", OLLAMA_HOST=f"127.0.0.1:{port}")
    assert no_server.stdout.splitlines()[-1] == "Warning: client version is 0.32.15"


def test_the_program_lists_models(tree: Path, stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    create(stand_in, "say", ggufs["say.gguf"])
    head, row = command(tree, "list", OLLAMA_HOST=f"127.0.0.1:{stand_in.port}").stdout.splitlines()
    assert head.split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert row.split()[0] == "say:latest"
    assert row.split()[2:4] == ["503", "KB"]


def test_the_program_says_that_no_server_runs(tree: Path) -> None:
    with refusing_port() as port:
        done = command(tree, "list", OLLAMA_HOST=f"127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: could not connect to ollama server, run 'ollama serve' to start it\n"


def test_the_program_knows_nothing_else(tree: Path) -> None:
    done = command(tree, "run", "say")
    assert done.returncode == 1
    assert "This is a stand-in for Ollama" in done.stderr


def test_a_port_in_use_ends_the_server(tree: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert serve(tree, tmp_path, OLLAMA_HOST=address).wait(20) == 1
    assert f"Error: listen tcp {address}: bind: address already in use" in (tmp_path / "serve.log").read_text()


@pytest.mark.parametrize("variable", ["HOME", "OLLAMA_MODELS"])
def test_a_folder_that_can_not_be_written_ends_the_server(tree: Path, tmp_path: Path, variable: str) -> None:
    """A file stands where a folder has to be made: root may write into any folder."""
    (tmp_path / "file").touch()
    environment = {"OLLAMA_HOST": f"127.0.0.1:{free_port()}", variable: str(tmp_path / "file" / "folder")}
    assert serve(tree, tmp_path, **environment).wait(20) == 1
    assert "Error: " in (tmp_path / "serve.log").read_text()
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


def test_a_server_without_a_home_does_not_start(tree: Path) -> None:
    done = command(tree, "serve", HOME="", OLLAMA_MODELS="/models")
    assert (done.returncode, done.stderr) == (1, "Error: $HOME is not defined\n")


@pytest.mark.parametrize("what", ["serve", "--version", "list"])
def test_without_a_home_and_a_folder_of_models_the_program_does_nothing(tree: Path, what: str) -> None:
    done = command(tree, what, HOME="")
    assert done.returncode == 2
    assert done.stderr.startswith("panic: $HOME is not defined\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_does_so_at_once(tree: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running(tree, tmp_path) as stand_in:
        start = time.monotonic()
        stand_in.process.send_signal(number)
        assert stand_in.process.wait(10) == 0
        assert time.monotonic() - start < 2


def test_the_home_gets_a_key_that_says_it_is_none(tmp_path: Path, stand_in: StandIn) -> None:
    key = tmp_path / "stand-in/home/.ollama/id_ed25519"
    assert "no key" in key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600


def test_what_the_environment_can_not_mean_becomes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "HOME": "/home/x",
        "OLLAMA_HOST": "127.0.0.1:99999",
        "OLLAMA_KEEP_ALIVE": "soon",
        "OLLAMA_MAX_QUEUE": "-1",
        "OLLAMA_NOPRUNE": "perhaps",
        "OLLAMA_NO_CLOUD": "0",
    }
    for name in [name for name in os.environ if name.startswith("OLLAMA_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = settings()
    assert (read.host, read.port) == ("127.0.0.1", 11434)
    assert (read.keep_alive, read.max_queue) == (300 * SECOND, 512)
    assert (read.no_prune, read.no_cloud) == (True, False)
    assert read.models == Path("/home/x/.ollama/models")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("", "127.0.0.1", 11434),
        ("0.0.0.0", "0.0.0.0", 11434),
        ("0.0.0.0:8080", "0.0.0.0", 8080),
        ("http://gpu.internal", "gpu.internal", 80),
        ("http://gpu.internal:8080/", "gpu.internal", 8080),
        ("[::1]:8080", "::1", 8080),
        ("::1", "::1", 11434),
    ],
)
def test_the_address_is_read_in_all_its_forms(monkeypatch: pytest.MonkeyPatch, text: str, host: str, port: int) -> None:
    monkeypatch.setenv("OLLAMA_HOST", text)
    assert listen_address() == (host, port)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5m", 90), ("45", 45), ("0", 0), ("-1", FOREVER / SECOND)]
)
def test_how_long_models_stay_is_read_in_all_its_forms(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", text)
    assert settings().keep_alive / SECOND == seconds


def test_a_name_of_this_machine_is_asked_for_only_on_loopback(tree: Path, tmp_path: Path) -> None:
    """A server for others answers to any name."""
    foreign = {"method": "GET", "path": "/api/version", "headers": {"Host": "evil.example.com"}}
    with running(tree, tmp_path) as stand_in:
        assert ask(stand_in.port, foreign).status == "HTTP/1.1 403 Forbidden"
    with running(tree, tmp_path, bind="0.0.0.0") as stand_in:
        assert ask(stand_in.port, foreign).status == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("10.1.2.3:11434", True),
        ("[::1]:11434", True),
        ("0.0.0.0", True),
        ("203.0.113.5", False),
        ("[2001:db8::1]", False),
    ],
)
def test_an_address_that_is_not_private_is_refused(stand_in: StandIn, host: str, allowed: bool) -> None:
    request = {"method": "GET", "path": "/api/version", "headers": {"Host": host}}
    assert ask(stand_in.port, request).status == ("HTTP/1.1 200 OK" if allowed else "HTTP/1.1 403 Forbidden")


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Asia/Kolkata", "+05:30"),
        (":Asia/Kolkata", "+05:30"),
        ("/usr/share/zoneinfo/Asia/Kolkata", "+05:30"),
        pytest.param("XYZ-3", "Z", id="a rule, which Go does not know"),
        pytest.param("", "Z", id="empty"),
    ],
)
def test_times_are_told_in_the_machines_time_zone(
    zone: str, told: str, tree: Path, tmp_path: Path, ggufs: dict[str, Path]
) -> None:
    with running(tree, tmp_path, TZ=zone) as stand_in:
        create(stand_in, "say", ggufs["say.gguf"])
        listed = json.loads(ask(stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    assert listed[0]["modified_at"].endswith(told)


def test_a_verbose_show_tells_the_vocabulary(stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    create(stand_in, "say", ggufs["say.gguf"])
    body = json.dumps({"model": "say", "verbose": True})
    info = json.loads(ask(stand_in.port, {"method": "POST", "path": "/api/show", "body": body}).pieces[0])["model_info"]
    assert "Paris" in info["tokenizer.ggml.tokens"]


def test_a_missing_llama_server_is_told(stand_in: StandIn, ggufs: dict[str, Path], tree: Path) -> None:
    create(stand_in, "say", ggufs["say.gguf"])
    program = tree / "lib/ollama/llama-server"
    program.rename(program.with_suffix(".away"))
    try:
        answer = ask(stand_in.port, {"method": "POST", "path": "/api/generate", "body": '{"model": "say"}'})
    finally:
        program.with_suffix(".away").rename(program)
    assert answer.status == "HTTP/1.1 500 Internal Server Error"
    assert f"llama-server binary not found (checked: {program})" in answer.pieces[0]


def test_an_upload_that_breaks_off_leaves_nothing(stand_in: StandIn) -> None:
    digest = hashlib.sha256(b"x" * 1000).hexdigest()
    head = f"POST /api/blobs/sha256:{digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stand_in.port)) as connection:
        connection.sendall(head.encode() + b"x" * 500)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    blob = {"method": "HEAD", "path": f"/api/blobs/sha256:{digest}"}
    assert ask(stand_in.port, blob).status == "HTTP/1.1 404 Not Found"
    assert list((stand_in.models / "blobs").iterdir()) == []


def test_an_upload_in_chunks_is_stored(stand_in: StandIn) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    head = f"POST /api/blobs/sha256:{digest} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stand_in.port)) as connection:
        connection.sendall(head.encode() + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 Created\r\n")


def test_a_connection_is_used_again(stand_in: StandIn) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stand_in.port)
    connection.connect()
    first = connection.sock
    for path in ("/api/version", "/api/nope", "/api/version"):
        connection.request("POST" if path == "/api/nope" else "GET", path, b"not read by anybody")
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["Connection"] is None
        assert connection.sock is first
    connection.close()


def test_a_damaged_model_is_not_listed(stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    create(stand_in, "say", ggufs["say.gguf"])
    create(stand_in, "say2", ggufs["say2.gguf"])
    (stand_in.models / "manifests/registry.ollama.ai/library/say/latest").write_text("{not json")
    assert names(stand_in) == ["say2:latest"]


@pytest.mark.parametrize(
    ("age", "environment", "damaged", "kept"),
    [
        (7200, {}, False, False),
        (0, {}, False, True),
        (7200, {"OLLAMA_NOPRUNE": "1"}, False, True),
        (7200, {}, True, True),
    ],
    ids=["old", "young", "told not to", "a damaged manifest"],
)
def test_blobs_that_no_model_has_go_at_the_next_start(
    tree: Path,
    tmp_path: Path,
    ggufs: dict[str, Path],
    age: int,
    environment: dict[str, str],
    damaged: bool,
    kept: bool,
) -> None:
    """Those that are an hour old, unless it is told not to or some manifest cannot be read."""
    with running(tree, tmp_path) as stand_in:
        create(stand_in, "say", ggufs["say.gguf"])
        unused = stand_in.models / "blobs" / upload(stand_in, ggufs["say2.gguf"]).replace(":", "-")
        used = set((stand_in.models / "blobs").iterdir()) - {unused}
    for blob in (unused, *used):
        os.utime(blob, (time.time() - age,) * 2)
    if damaged:
        manifest = stand_in.models / "manifests/registry.ollama.ai/library/broken/latest"
        manifest.parent.mkdir()
        manifest.write_text("{not json")
    with running(tree, tmp_path, **environment) as stand_in:
        assert names(stand_in) == ["say:latest"]
    assert unused.exists() == kept
    uploaded = f"sha256-{hashlib.sha256(ggufs['say.gguf'].read_bytes()).hexdigest()}"
    assert {blob.name for blob in used if not blob.exists()} == (set() if kept else {uploaded})


def test_a_created_model_has_the_same_digest_again(stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    """Also after it was deleted, and under another name: that is how to tell that a model is there already."""

    def digest(name: str) -> str:
        create(stand_in, name, ggufs["say.gguf"])
        listed = json.loads(ask(stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
        found: str = next(model["digest"] for model in listed if model["name"] == f"{name}:latest")
        ask(stand_in.port, {"method": "DELETE", "path": "/api/delete", "body": json.dumps({"model": name})})
        return found

    assert len({digest("one"), digest("one"), digest("two")}) == 1


def test_an_unknown_architecture_is_refused_and_its_name_is_in_the_log_alone(
    tree: Path, tmp_path: Path, ggufs: dict[str, Path]
) -> None:
    """As recorded (12-misc/004)."""
    data = ggufs["say.gguf"].read_bytes().replace(b"llama", b"nobdy")
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with running(tree, tmp_path) as stand_in:
        ask(stand_in.port, {"method": "POST", "path": f"/api/blobs/{digest}"}, data)
        body = json.dumps({"model": "uarch", "files": {"m.gguf": digest}})
        answer = ask(stand_in.port, {"method": "POST", "path": "/api/create", "body": body})
    assert answer.status == "HTTP/1.1 200 OK"
    assert [json.loads(piece) for piece in answer.pieces] == [
        {"status": "parsing GGUF"},
        {
            "error": "failed to validate GGUF with llama-quantize without compatibility patches: "
            "llama-quantize failed: exit status 1"
        },
    ]
    assert "unknown model architecture: 'nobdy'" in (tmp_path / "serve.log").read_text()
