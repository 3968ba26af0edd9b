"""Receiving a file from the control machine in pieces, so that a cut costs one piece at most."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from roles.contract.requests import ReceiveFile
from roles.host.programs.below import PART, Folder, parts_of
from roles.host.programs.console import HostError, megabytes, say
from roles.host.programs.files import make_folder
from roles.host.programs.installers.download import Copies, Digest, accept_part, check_space
from roles.host.programs.installers.models_folder import former_of


def main(request: ReceiveFile) -> None:
    """Append a piece at its offset, and print how many bytes are there; no piece = only print."""
    target = Path(request.target)
    (name,) = parts_of(target.name, "the inventory")
    part = name + PART
    make_folder(target.parent)
    with Folder(target.parent) as folder:
        if (whole := folder.size(name)) is not None:
            print(whole)
            return
        if (former := former_of(target.parent, request.state)) and name in former.files:
            print(former.files[name][0])  # it is copied from there
            return
        if piece := request.piece:
            if (folder.size(part) or 0) > piece.size:
                folder.remove(part)  # the remains of another file
            there, data = folder.size(part) or 0, base64.b64decode(piece.data)
            if there != piece.offset:
                raise HostError(f"{target}{PART} has {there} bytes, not {piece.offset}: run again")
            if there + len(data) > piece.size:
                raise HostError(f"{target}: more is sent than the {piece.size} bytes it has: run again")
            copies = Copies(request.copies, Path(request.state))
            check_space(target.parent, piece.size, str(target), there=there, copies=copies)
            with folder.append(part) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        print(folder.size(part) or 0)


def accept_sent(folder: Folder, name: str, digest: Digest, title: str) -> None:
    """Give a received file its name, if it is the declared one.

    Raises:
        HostError: it is another file, or nothing was sent.
    """
    if folder.size(name + PART) is None:
        raise HostError(f"{title}: it was not sent; run again")
    advice = "The file on the control machine is another one, or the pin is wrong: compare with `sha256sum`"
    accept_part(folder, name, digest, f"{title}: what was sent", advice)
    say(f"{title}: {megabytes(folder.size(name) or 0)} there and checked")
