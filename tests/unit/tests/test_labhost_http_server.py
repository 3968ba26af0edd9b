"""What the servers of the tests have in common."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.labhost.http_server import CHUNK, QuietHandler, ThreadedServer, asked_part, pieces


def test_it_answers_while_its_block_runs() -> None:
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(204 if self.path == "/here" else 404)
            self.end_headers()

    with ThreadedServer("127.0.0.1", Handler) as server:
        assert httpx.get(f"{server.url}/here", trust_env=False).status_code == 204
        assert not server.closing.is_set()
    assert server.closing.is_set()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/here", trust_env=False)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        pytest.param("bytes=0-9", (0, 10), id="from the start"),
        pytest.param("bytes=90-", (90, 100), id="to the end"),
        pytest.param("bytes=90-200", (90, 100), id="beyond the end"),
        pytest.param("bytes=100-", (100, 100), id="from the end"),
        pytest.param(None, None, id="no header"),
        pytest.param("lines=1-2", None, id="no bytes"),
    ],
)
def test_a_part_is_read_from_the_header(header: str | None, part: tuple[int, int] | None) -> None:
    assert asked_part(header, 100) == part


@pytest.mark.parametrize("flip_byte", [None, 9, 10, CHUNK + 10, 2 * CHUNK])
def test_a_part_of_a_file_comes_as_it_is_but_for_one_byte(tmp_path: Path, flip_byte: int | None) -> None:
    content = bytes(range(256)) * (3 * CHUNK // 256)
    (tmp_path / "file").write_bytes(content)
    first, end = 10, 2 * CHUNK
    expected = bytearray(content)
    if flip_byte is not None:
        expected[flip_byte] ^= 0xFF
    assert b"".join(pieces(tmp_path / "file", first, end, flip_byte)) == expected[first:end]
