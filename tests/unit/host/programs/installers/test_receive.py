"""A file that comes from the control machine in pieces."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from roles.contract.recipes import SentModelRecipe
from roles.contract.requests import Piece, ReceiveFile
from roles.host.programs.console import HostError
from roles.host.programs.installers import download, install, receive
from tests.requests import make_install

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def send(folder: Path, capsys: pytest.CaptureFixture[str], *piece: int) -> int:
    """Send the bytes between two offsets, or none; what the host then says it has."""
    sent = None
    if piece:
        start, end = piece
        sent = Piece(offset=start, size=len(CONTENT), data=base64.b64encode(CONTENT[start:end]).decode())
    capsys.readouterr()
    receive.main(ReceiveFile(state=str(folder), target=str(folder / "model.gguf"), piece=sent))
    return int(capsys.readouterr().out)


def accept(folder: Path, digest: str = DIGEST) -> None:
    install.main(make_install(folder, SentModelRecipe(sha256=digest, filename="model.gguf"), "model model.gguf"))


def test_the_next_run_goes_on_where_the_last_was_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(tmp_path, capsys) == 0
    assert send(tmp_path, capsys, 0, 100_000) == 100_000
    # Another run: it asks first.
    assert send(tmp_path, capsys) == 100_000
    assert send(tmp_path, capsys, 100_000, len(CONTENT)) == len(CONTENT)
    accept(tmp_path)
    assert (tmp_path / "model.gguf").read_bytes() == CONTENT
    assert send(tmp_path, capsys) == len(CONTENT)


def test_a_piece_for_another_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(tmp_path, capsys, 0, 1000)
    with pytest.raises(HostError, match="has 1000 bytes, not 2000"):
        send(tmp_path, capsys, 2000, 3000)


def test_another_file_than_declared_is_thrown_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(tmp_path, capsys, 0, len(CONTENT))
    with pytest.raises(HostError, match=f"has the digest {DIGEST}, not {'f' * 64} as declared"):
        accept(tmp_path, "f" * 64)
    assert send(tmp_path, capsys) == 0


def test_what_was_not_sent_is_not_accepted(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="it was not sent; run again"):
        accept(tmp_path)


@pytest.mark.parametrize("copies", [0, 3])
def test_there_must_be_room_for_what_a_server_makes_of_it_too(
    copies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = download._RESERVE + 2 * len(CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    piece = Piece(offset=0, size=len(CONTENT), data=base64.b64encode(CONTENT).decode())
    request = ReceiveFile(state=str(tmp_path), target=str(tmp_path / "model.gguf"), piece=piece, copies=copies)
    if not copies:
        receive.main(request)
        return
    with pytest.raises(HostError, match=r"needs 0\.3 MB, and 0\.8 MB more for what its server makes of it, but"):
        receive.main(request)
    assert not (tmp_path / "model.gguf.part").exists()
