"""Running the stand-in from an unpacked archive, on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

_START_TIMEOUT = 20.0


@dataclass(frozen=True)
class StandIn:
    port: int
    models: Path
    process: subprocess.Popen[bytes]

    def children(self) -> list[int]:
        """Process ids of its llama-servers."""
        # A child belongs to the thread that started it.
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        text = " ".join((task / "children").read_text() for task in tasks)
        return [int(pid) for pid in text.split()]


@contextlib.contextmanager
def running(tree: Path, folder: Path, *, bind: str = "127.0.0.1", **environment: str) -> Iterator[StandIn]:
    """`ollama serve` of the archive unpacked at `tree`, its home and models in `folder`, until the block ends."""
    port = free_port()
    process = serve(tree, folder, OLLAMA_HOST=f"{bind}:{port}", **environment)
    try:
        end = time.monotonic() + _START_TIMEOUT
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the stand-in did not start: {(folder / 'serve.log').read_text()}")
            time.sleep(0.02)
        yield StandIn(port, folder / "models", process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def serve(tree: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start it, and do not wait."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {
        "HOME": str(folder / "home"),
        "OLLAMA_MODELS": str(folder / "models"),
        "PATH": os.environ["PATH"],
        **environment,
    }
    with (folder / "serve.log").open("ab") as log:
        return subprocess.Popen([tree / "bin" / "ollama", "serve"], env=given, stdout=log, stderr=log)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
