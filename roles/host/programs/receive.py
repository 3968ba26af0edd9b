"""Taking a file from the control machine, piece by piece, so that a cut costs no more than a piece."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError, megabytes, say
from roles.host.programs.download import Digest, check_space
from roles.host.programs.files import make_folder


def main(request: dict[str, Any]) -> None:
    """Append a piece at its offset, and print how many bytes are there; no piece = just that.

    The request: `target`, and `offset`, `data` (base64) and the whole file's `size`, or none of the three.
    """
    target = Path(request["target"])
    part = _part(target)
    make_folder(target.parent)
    if target.exists():
        print(target.stat().st_size)
        return
    if "data" in request:
        if part.exists() and part.stat().st_size > request["size"]:
            part.unlink()  # the remains of another file
        there = part.stat().st_size if part.exists() else 0
        if there != request["offset"]:
            raise HostError(f"{part} holds {there} bytes, not {request['offset']}: run again")
        check_space(target.parent, request["size"] - there, str(target))
        with part.open("ab") as file:
            file.write(base64.b64decode(request["data"]))
            file.flush()
            os.fsync(file.fileno())
    print(part.stat().st_size if part.exists() else 0)


def accept_sent(target: Path, digest: Digest, title: str) -> None:
    """Give what was sent its name, if it is what was declared.

    Raises:
        HostError: it is not, or nothing was sent.
    """
    part = _part(target)
    if target.exists():
        return
    if not part.exists():
        raise HostError(f"{title}: it was not sent; run again")
    actual = digest.of(part)
    if actual != digest.hexadecimal:
        part.unlink()
        raise HostError(
            f"{title}: what was sent has the digest {actual}, not {digest.hexadecimal} as declared; thrown away. "
            "The file on the control machine is another one, or the pin is wrong: compare with `sha256sum`"
        )
    part.rename(target)
    say(f"{title}: {megabytes(target.stat().st_size)} there and checked")


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
