"""Sending a large file from the control machine to a host, over any connection of pyinfra: resumed after a cut."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyinfra.api.command import PyinfraCommand

from roles.contract.recipes import SentModelRecipe
from roles.contract.requests import Piece, ReceiveFile
from roles.host.program import run_program
from roles.plan import MEGABYTE, ResolvedInstall

if TYPE_CHECKING:
    from pyinfra.api import Host, State
    from pyinfra.api.arguments import ConnectorArguments

PIECE = 16 << 20
"""Bytes per piece: the most that a cut costs, and what the sender keeps in memory."""
_SAY_SECONDS = 1


class SendFile(PyinfraCommand):
    """Sends a file of the control machine into the folder of its install, which then checks it."""

    def __init__(self, path: str, install: ResolvedInstall, state_folder: str) -> None:
        super().__init__()
        self._path = Path(path).expanduser()
        self._title = install.install.title
        assert isinstance(install.recipe, SentModelRecipe)
        self._target = f"{install.folder}/{install.recipe.filename}"
        self._state_folder = state_folder
        self._copies = install.install.copies

    def __repr__(self) -> str:
        return f"SendFile({self._path})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        def receive(piece: Piece | None = None) -> int | None:
            request = ReceiveFile(state=self._state_folder, target=self._target, piece=piece, copies=self._copies)
            status, output = run_program(request, state, host, connector_arguments, show=False)
            if not status:
                host.log_styled(output.stderr or f"{self._title}: the host does not take it", fg="red")
                return None
            return int(output.stdout_lines[-1])

        try:
            file = self._path.open("rb")
        except OSError as error:
            host.log_styled(f"{self._title}: {self._path} cannot be read: {error.strerror}", fg="red")
            return False
        with file:
            size = os.fstat(file.fileno()).st_size
            there = receive()
            said = time.monotonic()
            if there is not None:
                host.log(f"{self._title}: sending {self._path}, {size / MEGABYTE:.1f} MB, from byte {there}")
            while there is not None and there < size:
                file.seek(there)
                data = base64.b64encode(file.read(PIECE)).decode()
                there = receive(Piece(offset=there, size=size, data=data))
                if there is not None and time.monotonic() - said > _SAY_SECONDS:
                    said = time.monotonic()
                    host.log(f"{self._title}: {there / MEGABYTE:.1f} MB sent ({100 * there // size} %)")
        return there is not None
