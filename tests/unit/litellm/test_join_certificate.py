"""Joining certificate and key, and giving them to a running HAProxy: its side of the socket is played here."""

from __future__ import annotations

import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roles.litellm import join_certificate
from roles.litellm.join_certificate import Unusable, joined, main
from tests.certificates import EC, RSA, issue

NAME = "ai.example.com"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_certificate, "PAUSE", 0.05)
    monkeypatch.setattr(join_certificate, "PATIENCE", 0.3)


@contextmanager
def haproxy(
    path: Path, answers: Callable[[str], str] = lambda command: "Transaction created\nSuccess!\n"
) -> Iterator[list[str]]:
    """The commands that it gets."""
    commands: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            command = self.rfile.readline().decode()
            if command.endswith("<<\n"):
                # As HAProxy does: the content ends with a blank line.
                command += "".join(iter(lambda: self.rfile.readline().decode(), "\n"))
            commands.append(command)
            self.wfile.write(answers(command).encode())

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield commands
        server.shutdown()


@pytest.mark.parametrize("kind", [pytest.param(EC, id="EC"), pytest.param(RSA, id="RSA")])
def test_both_are_joined_in_order_and_without_blank_lines(tmp_path: Path, kind: tuple[str, ...]) -> None:
    certificate, key = issue(tmp_path, "a", NAME, kind=kind)
    other, _ = issue(tmp_path, "issuer", NAME)
    certificate.write_text(f"subject=a\r\n\r\n{certificate.read_text()}\n\n{other.read_text()}".replace("\n", "\r\n"))
    pem = joined(certificate, key)
    assert [line for line in pem.splitlines() if line.startswith("-----BEGIN")] == [
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----",
    ]
    assert "" not in pem.splitlines()
    assert "\r" not in pem


def _others_key(folder: Path) -> tuple[Path, Path]:
    return issue(folder, "a", NAME)[0], issue(folder, "b", NAME)[1]


def _expired(folder: Path) -> tuple[Path, Path]:
    return issue(folder, "a", NAME, days=-1)


def _swapped(folder: Path) -> tuple[Path, Path]:
    certificate, key = issue(folder, "a", NAME)
    return key, certificate


def _no_key(folder: Path) -> tuple[Path, Path]:
    return issue(folder, "a", NAME)[0], folder / "missing.key"


def _cut_short(folder: Path) -> tuple[Path, Path]:
    certificate, key = issue(folder, "a", NAME)
    key.write_text(key.read_text()[:60])
    return certificate, key


def _protected(folder: Path) -> tuple[Path, Path]:
    certificate, key = issue(folder, "a", NAME)
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-in", str(key), "-out", str(folder / "p.key")]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, folder / "p.key"


def _binary(folder: Path) -> tuple[Path, Path]:
    certificate, key = issue(folder, "a", NAME)
    certificate.write_bytes(b"\xff\x00")
    return certificate, key


def _long_chain(folder: Path) -> tuple[Path, Path]:
    certificate, key = issue(folder, "a", NAME)
    certificate.write_text(certificate.read_text() * 40)
    return certificate, key


WRONG = {
    "not a pair": (_others_key, "a.crt and .*b.key do not belong together"),
    "expired": (_expired, "has expired .notAfter=Feb  1"),
    "swapped": (_swapped, "has no certificate in PEM form"),
    "no key": (_no_key, "missing.key cannot be read: No such file"),
    "half a key": (_cut_short, "has no private keys in PEM form"),
    "a passphrase": (_protected, "is protected by a passphrase"),
    "no text": (_binary, "cannot be read: it is no text"),
    "a long chain": (_long_chain, "shorten the chain"),
}


@pytest.mark.parametrize(("made", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_changes_nothing(
    tmp_path: Path, made: Callable[[Path], tuple[Path, Path]], message: str
) -> None:
    certificate, key = made(tmp_path)
    kept = tmp_path / "tls/endpoint.pem"
    kept.parent.mkdir()
    kept.write_text("the one before")
    with haproxy(tmp_path / "sock") as commands, pytest.raises(Unusable, match=message):
        main(str(certificate), str(key), str(kept), "", str(tmp_path / "sock"))
    assert commands == []
    assert kept.read_text() == "the one before"


def test_a_running_haproxy_is_given_them(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, "a", NAME)
    kept = tmp_path / "tls/endpoint.pem"
    with haproxy(tmp_path / "sock") as commands:
        main(str(certificate), str(key), str(kept), "", str(tmp_path / "sock"))
    assert commands == [f"set ssl cert {kept} <<\n{kept.read_text()}", f"commit ssl cert {kept}\n"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.parent.iterdir()] == ["endpoint.pem"]


def test_before_haproxy_starts_the_file_is_enough(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, "a", NAME)
    main(str(certificate), str(key), str(tmp_path / "tls/endpoint.pem"), "", str(tmp_path / "sock"))
    assert (tmp_path / "tls/endpoint.pem").read_text() == joined(certificate, key)


def test_a_refusal_of_haproxy_keeps_the_file(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, "a", NAME)

    def refuses(command: str) -> str:
        return "Transaction created\n" if command.startswith("set") else "Can't commit\n"

    with haproxy(tmp_path / "sock", refuses) as commands, pytest.raises(Unusable, match="Can't commit"):
        main(str(certificate), str(key), str(tmp_path / "tls/endpoint.pem"), "", str(tmp_path / "sock"))
    assert commands[-1].startswith("abort ssl cert")
    assert not (tmp_path / "tls").exists()


def test_what_is_renewed_meanwhile_is_given_too(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, "a", NAME)
    newer = issue(tmp_path, "b", NAME)

    def renews(command: str) -> str:
        if command.startswith("commit"):
            certificate.write_bytes(newer[0].read_bytes())
            key.write_bytes(newer[1].read_bytes())
        return "Transaction created\nSuccess!\n"

    with haproxy(tmp_path / "sock", renews) as commands:
        main(str(certificate), str(key), str(tmp_path / "tls/endpoint.pem"), "", str(tmp_path / "sock"))
    assert [command.split()[0] for command in commands] == ["set", "commit"] * 2
    assert (tmp_path / "tls/endpoint.pem").read_text() == joined(*newer)


def test_it_says_what_is_kept_and_no_content(tmp_path: Path) -> None:
    certificate, key = _others_key(tmp_path)
    (tmp_path / "endpoint.pem").write_text("x")
    source = Path(join_certificate.__file__).read_text().replace("PATIENCE = 10.0", "PATIENCE = 0.0")
    arguments = [str(certificate), str(key), str(tmp_path / "endpoint.pem"), "", "/no"]
    command = [sys.executable, "-I", "-c", source, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("do not belong together. The certificate before stays in use.\n")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
