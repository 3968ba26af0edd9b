"""Joins the endpoint's certificate and its key for HAProxy, and gives them to a running one.

    python3 join-certificate CERTIFICATE KEY JOINED USER SOCKET

Root runs it, or the user of a user scope, for whom USER is empty. Whatever is wrong with the two files, JOINED stays as
it was, and so does what HAProxy serves. It stands alone, and needs nothing but Python and openssl.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 10.0
"""Seconds. Whoever renews them writes one file after the other."""
PAUSE = 1.0
_ANSWER_SECONDS = 10
_MOST_BYTES = 15000
"""HAProxy takes a command of 16 KiB at most."""
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?\n-----END \1-----", re.DOTALL)


class Unusable(Exception):
    """The two files cannot be used; the message says why, and names no content."""


def joined(certificate: Path, key: Path) -> str:
    """Both in PEM form, without blank lines, which would end HAProxy's command.

    Raises:
        Unusable: they do not belong together, or are out of date.
    """
    chain = [block for kind, block in _blocks(certificate) if kind == "CERTIFICATE"]
    keys = [block for kind, block in _blocks(key) if kind.endswith("PRIVATE KEY")]
    if not chain:
        raise Unusable(f"{certificate} has no certificate in PEM form")
    if len(keys) != 1:
        raise Unusable(f"{key} has {len(keys) or 'no'} private keys in PEM form: it must have one")
    if "ENCRYPTED" in keys[0]:
        raise Unusable(f"{key} is protected by a passphrase: the front must read it without one")
    pem = "\n".join([*chain, *keys]) + "\n"
    if len(pem) > _MOST_BYTES:
        raise Unusable(
            f"{certificate} and {key} have {len(pem)} bytes, and {_MOST_BYTES} are allowed: shorten the chain"
        )
    _require_pair(pem, certificate, key)
    if _openssl(chain[0], "-checkend", "0").returncode:
        raise Unusable(f"{certificate} has expired ({_end(chain[0])}): renew it")
    return pem


def _blocks(file: Path) -> list[tuple[str, str]]:
    try:
        text = file.read_text()
    except (OSError, ValueError) as error:
        raise Unusable(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(text.replace("\r", ""))]
    return [(kind, "\n".join(line for line in block.splitlines() if line.strip())) for kind, block in blocks]


def _require_pair(pem: str, certificate: Path, key: Path) -> None:
    with os.fdopen(os.memfd_create("pair"), "w") as memory:
        memory.write(pem)
        memory.flush()
        path = f"/proc/self/fd/{memory.fileno()}"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise Unusable(f"{certificate} and {key} do not belong together") from None
            raise Unusable(f"{certificate} and {key} cannot be used: {error.reason or error}") from None


def _openssl(certificate: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["openssl", "x509", "-noout", *arguments]
    return subprocess.run(command, input=certificate, capture_output=True, text=True, check=False)


def _end(certificate: str) -> str:
    """Its last moment, e.g. `notAfter=Nov 27 12:00:00 2027 GMT`."""
    return _openssl(certificate, "-enddate").stdout.strip()


def patiently_joined(certificate: Path, key: Path) -> str:
    """As `joined`, once both files have been written.

    Raises:
        Unusable: likewise, and it stays so.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return joined(certificate, key)
        except Unusable:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def write(pem: str, path: Path, user: str) -> None:
    """For the user alone, and whole or not at all."""
    group = pwd.getpwnam(user).pw_gid if user else -1
    path.parent.mkdir(mode=0o700, exist_ok=True)
    os.chown(path.parent, -1, group)
    path.parent.chmod(0o750 if user else 0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, 0o640 if user else 0o600)
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def hand_over(pem: str, path: Path, runtime: Path) -> bool:
    """Have a running HAProxy use them from the next connection on. False = none runs.

    Raises:
        Unusable: it refuses.
    """
    answer = _ask(runtime, f"set ssl cert {path} <<\n{pem}\n")
    if answer is None:
        return False
    if "Transaction" not in answer:
        raise Unusable(f"HAProxy refuses the certificate: {' '.join(answer.split())}")
    answer = _ask(runtime, f"commit ssl cert {path}\n") or ""
    if "Success" not in answer:
        _ask(runtime, f"abort ssl cert {path}\n")
        raise Unusable(f"HAProxy does not take the certificate: {' '.join(answer.split())}")
    return True


def _ask(runtime: Path, command: str) -> str | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(runtime))
            connection.sendall(command.encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise Unusable(f"{runtime}: HAProxy does not answer: {error}") from None
    return answer.decode(errors="backslashreplace")


def main(certificate: str, key: str, path: str, user: str, runtime: str) -> None:
    pem, given = "", ""
    # systemd does not notice what is written while this runs: it looks once more.
    while (pem := patiently_joined(Path(certificate), Path(key))) != given:
        runs = hand_over(pem, Path(path), Path(runtime))
        write(pem, Path(path), user)
        print(f"{certificate} is {'in use' if runs else 'ready'}: {_end(pem)}", flush=True)
        if not runs:
            return
        given = pem
        time.sleep(PAUSE)


if __name__ == "__main__":
    os.umask(0o077)
    try:
        main(*sys.argv[1:])
    except Unusable as problem:
        kept = " The certificate before stays in use." if Path(sys.argv[3]).exists() else ""
        sys.exit(f"error: {problem}.{kept}")
