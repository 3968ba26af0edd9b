"""Runs `nvidia-smi`, the tool of NVIDIA's driver."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

SMI_SECONDS = 30.0
"""Timeout of one `nvidia-smi`: with many cards and no persistence daemon it takes more than ten."""


def ask(end: float, *arguments: str) -> str | None:
    """Both output streams of `nvidia-smi`; none if it did not end within `SMI_SECONDS` or by `end`.

    A faulty driver can block it in the kernel, where no signal ends it. So its output goes to a file (in memory, as the
    disk may be full), and after the kill nothing waits for it.
    """
    limit = min(SMI_SECONDS, end - time.monotonic())
    if limit <= 0:
        return None
    with os.fdopen(os.memfd_create("nvidia-smi"), "w+b") as output:
        try:
            process = subprocess.Popen(
                ["nvidia-smi", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return None
        output.seek(0)
        return output.read().decode(errors="replace")
