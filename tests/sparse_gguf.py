"""GGUF files of any size that take no room on the disk: a true header, and holes where the weights would be."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

_UINT32, _UINT64, _TEXT, _LIST, _FLOAT32 = 4, 10, 8, 9, 6
_ALIGNMENT = 32


def write_sparse_gguf(
    path: Path, tensors: Mapping[str, int], *, layers: int, drafting: int = 0, version: int = 3
) -> Path:
    """Write one; gives its path.

    Args:
        tensors: name → bytes.
    """
    values = [
        (b"general.architecture", _TEXT, _text(b"llama")),
        (b"general.alignment", _UINT32, struct.pack("<I", _ALIGNMENT)),
        (b"llama.rope.freq_base", _FLOAT32, struct.pack("<f", 10000.0)),
        (b"tokenizer.ggml.tokens", _LIST, struct.pack("<IQ", _TEXT, 3) + b"".join(map(_text, (b"a", b"", b"ccc")))),
        (b"tokenizer.ggml.scores", _LIST, struct.pack("<IQ3f", _FLOAT32, 3, 0, 1, 2)),
        (b"llama.block_count", _UINT32, struct.pack("<I", layers)),
        (b"llama.nextn_predict_layers", _UINT64, struct.pack("<Q", drafting)),
    ]
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    header += b"".join(_text(key) + struct.pack("<I", kind) + value for key, kind, value in values)
    place = 0
    for name, size in tensors.items():
        header += _text(name.encode()) + struct.pack("<IQIQ", 1, size, 24, place)
        place += -(-size // _ALIGNMENT) * _ALIGNMENT
    header += bytes(-len(header) % _ALIGNMENT)
    path.write_bytes(header)
    os.truncate(path, len(header) + place)
    return path


def model(path: Path, size: int, *, layers: int = 4) -> Path:
    """A model whose layers have that many bytes together, and its embeddings of tokens as many again."""
    blocks = {f"blk.{layer}.ffn_up.weight": size // layers for layer in range(layers)}
    return write_sparse_gguf(path, {"token_embd.weight": size, **blocks}, layers=layers)


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value
