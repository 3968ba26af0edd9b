"""What others serve: a Hub's answers and archives. They are taken, or refused in one message, and nothing else is
touched."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.contract.requests import UnpackArchive
from roles.host.programs.console import HostError
from roles.host.programs.installers import archive
from roles.host.programs.installers.archive import REFUSED
from roles.host.programs.installers.hub import Hub
from tests.fuzz_values import JSON, TEXTS, damaged, refusal
from tests.hostile.hub import COMMIT, REPOSITORY, HostileServer, head
from tests.hostile.snapshot import snapshot

TREE = [
    {"type": "file", "path": "model.gguf", "size": 10, "oid": "a" * 40, "lfs": {"oid": "b" * 64, "size": 10}},
    {"type": "file", "path": "a/config.json", "size": 2, "oid": "c" * 40},
    {"type": "directory", "path": "a", "size": 0, "oid": "d" * 40},
]


@pytest.fixture(scope="module")
def server() -> Any:
    with HostileServer("127.0.0.1", {}) as running:
        yield running


@given(
    sent=st.one_of(
        JSON.map(lambda content: json.dumps(content).encode()),
        damaged(TREE).map(lambda content: json.dumps(content).encode()),
        damaged({"sha": COMMIT}).map(lambda content: json.dumps(content).encode()),
        st.binary(max_size=60),
        st.just(b"[" * 100_000),
        st.just(b'[{"type": "file", "path": "m", "size": ' + b"9" * 5000 + b"}]"),
    ),
    patterns=st.lists(TEXTS.filter(str.isprintable), min_size=1, max_size=3),
    status=st.sampled_from([200, 200, 200, 401, 404, 500, 302]),
)
def test_a_hub_is_understood_or_refused_in_one_message(
    server: HostileServer, sent: bytes, patterns: list[str], status: int
) -> None:
    server.otherwise = lambda: head(status, sent)
    hub = Hub(server.url, REPOSITORY, "hf_never_to_be_seen")
    for ask in (lambda: hub.commit("main"), lambda: hub.files(hub.listed(COMMIT), patterns)):
        message = refusal(ask, HostError)
        assert message.isprintable()
        assert len(message) < 1000
        assert "never_to_be_seen" not in message


TYPES = [
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    b"Z",
    b"L",
]
PATHS = TEXTS | st.sampled_from(["a", "a/b", "./a", "../a", "/etc/passwd", "a/../../b", "b", "link", "link/x", "a//b"])


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """An archive of odd members, some of its bytes changed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=draw(st.sampled_from([0, 1, 2])), errors="replace") as tar:
        for _ in range(draw(st.integers(0, 6))):
            info = tarfile.TarInfo(draw(PATHS))
            info.type = draw(st.sampled_from(TYPES))
            info.linkname = draw(PATHS)
            info.mode = draw(st.integers(0, 0o7777))
            content = draw(st.binary(max_size=600)) if info.type == tarfile.REGTYPE else b""
            info.size = len(content)
            try:
                tar.addfile(info, io.BytesIO(content))
            except (ValueError, UnicodeError, OSError):
                continue
    bytes_ = bytearray(packed.getvalue())
    for _ in range(draw(st.integers(0, 4))):
        bytes_[draw(st.integers(0, min(len(bytes_), 4096) - 1))] = draw(st.integers(0, 255))
    found = bytes(bytes_)[: draw(st.sampled_from([None, 100, 600, 1100]))]
    return gzip.compress(found) if draw(st.booleans()) else found


@given(
    content=tars() | st.binary(max_size=600) | st.binary(max_size=200).map(lambda rest: b"\x1f\x8b\x08\x00" + rest),
    strip=st.integers(0, 2),
    into=st.sampled_from([".", "lib", "../x", "a/b"]),
)
def test_an_archive_is_unpacked_below_its_folder_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, strip: int, into: str
) -> None:
    top = tmp_path_factory.mktemp("world")
    (top / "own").mkdir()
    (top / "theirs").write_text("theirs")
    (top / "archive").write_bytes(content)
    before = {path: found for path, found in snapshot(top, top / "archive").items() if "/own" not in path}
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", said)
        request = UnpackArchive(archive=str(top / "archive"), folder=str(top / "own"), strip=strip, into=into)
        status = archive.main(request)
    after = {path: found for path, found in snapshot(top, top / "archive").items() if "/own" not in path}
    assert after == before
    assert (status == 0) == (said.getvalue() == "")
    if status:
        assert said.getvalue().startswith(REFUSED)
        assert said.getvalue().count("\n") == 1
        assert len(said.getvalue()) < 600
    (top / "archive").unlink()
