"""How many bytes the layers of a GGUF file's model have."""

from __future__ import annotations

import os
from pathlib import Path

from roles.contract.gguf import read_header


def layers_size(file: Path, last: int | None) -> int:
    """Bytes of the weights of a model's layers. Token embeddings, which llama.cpp always keeps in main memory, do not
    count. Nor do draft layers, which it leaves out unless asked.

    Args:
        file: a GGUF file. For a model in several files, the first: the others do not count.
        last: only this many layers, the last ones; the output counts as one, as for llama.cpp. None = all.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a GGUF file, or is incomplete.
    """
    with file.open("rb") as opened:
        header = read_header(opened, os.fstat(opened.fileno()).st_size)
    model = header.text("general.architecture")
    layers, drafting = header.number(f"{model}.block_count"), header.number(f"{model}.nextn_predict_layers")
    first = 0 if last is None else layers + 1 - last
    return sum(
        tensor.size
        for tensor in header.tensors
        if tensor.layer is not None and first <= tensor.layer < layers - drafting
    )
