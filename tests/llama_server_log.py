"""What `llama-server` says of the memory that it allocates, with `--verbosity 4`."""

from __future__ import annotations

import re


def allocated(log: str, what: str) -> float:
    """MiB of all buffers of a kind, on cards and in main memory: "model", "KV" or "compute".

    Raises:
        ValueError: it says nothing of such a buffer.
    """
    found = re.findall(rf"{what} buffer size = +([\d.]+) MiB", log)
    if not found:
        raise ValueError(f"its log says nothing of a {what} buffer")
    return sum(float(size) for size in found)
