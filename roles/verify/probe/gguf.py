"""What a GGUF file says of itself: how many bytes its model's layers have.

The form is that of ggml's `docs/gguf.md`. The file is somebody else's: whatever it says, reading it ends soon.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_LONGEST_HEADER = 64 << 20
"""Bytes, of which the largest vocabularies take a third."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_ALIGNMENT = 32
_LAYER = re.compile(rb"blk\.(\d{1,9})\.")


def layers_size(file: Path, last: int | None) -> int:
    """Bytes of the weights of a model's layers. Embeddings of tokens, which llama.cpp keeps in main memory wherever the
    rest is, do not count, nor do layers that only draft, which it leaves out unless asked.

    Args:
        file: a GGUF file. Of a model in several files, the first: the others do not count.
        last: only so many layers, the last ones; the output counts as one, as for llama.cpp. None = all.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no GGUF file, or not whole.
    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        header = _read(_Reader(opened))
    ends = [*(start for _, start in header.tensors[1:]), size - header.end]
    if ends[-1] < (header.tensors[-1][1] if header.tensors else 0):
        raise ValueError("the GGUF file is cut off")
    first = 0 if last is None else header.layers + 1 - last
    return sum(
        end - start
        for (name, start), end in zip(header.tensors, ends, strict=False)
        if (layer := _LAYER.match(name)) and first <= int(layer[1]) < header.layers - header.drafting
    )


@dataclass(frozen=True)
class _Header:
    """`tensors`: name and place of each below `end`, in the order of their places. `drafting`: how many of the layers
    only draft."""

    layers: int
    drafting: int
    tensors: list[tuple[bytes, int]]
    end: int


class _Reader:
    """Reads one value after the other, up to the largest header that there may be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.place = 0

    def take(self, count: int) -> bytes:
        self.place += count
        found = self._file.read(count) if self.place <= _LONGEST_HEADER else b""
        if len(found) != count:
            raise ValueError("the header of the GGUF file does not end")
        return found

    def number(self, form: str) -> int:
        """Of that format of `struct`; a fraction is cut off."""
        code = f"<{form}"
        (value,) = struct.unpack(code, self.take(struct.calcsize(code)))
        return int(value) if form not in "fd" else 0

    def text(self) -> bytes:
        return self.take(self.number("Q"))

    def value(self, kind: int) -> int | bytes | None:
        """Of that type of GGUF's; none for a list, which is passed over."""
        if kind == _TEXT:
            return self.text()
        if kind != _LIST:
            return self.number(_form(kind))
        of, count = self.number("I"), self.number("Q")
        if of == _TEXT:
            for _ in range(count):
                self.take(int.from_bytes(self.take(8), "little"))
        else:
            self.take(count * struct.calcsize(f"<{_form(of)}"))
        return None


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"a value of unknown type {kind} in the GGUF file's header")
    return _SCALARS[kind]


def _read(reader: _Reader) -> _Header:
    if reader.take(4) != _MAGIC or reader.number("I") not in _VERSIONS:
        raise ValueError("it is no GGUF file of a known version")
    tensor_count, value_count = reader.number("Q"), reader.number("Q")
    values: dict[bytes, int | bytes | None] = {}
    for _ in range(value_count):
        key = reader.text()
        values[key] = reader.value(reader.number("I"))
    tensors = []
    for _ in range(tensor_count):
        name = reader.text()
        reader.take(8 * reader.number("I"))
        reader.number("I")
        tensors.append((name, reader.number("Q")))
    alignment = _number(values, b"general.alignment", _ALIGNMENT) or _ALIGNMENT
    model = values.get(b"general.architecture")
    prefix = model if isinstance(model, bytes) else b""
    return _Header(
        layers=_number(values, prefix + b".block_count", 0),
        drafting=_number(values, prefix + b".nextn_predict_layers", 0),
        tensors=sorted(tensors, key=lambda tensor: tensor[1]),
        end=-(-reader.place // alignment) * alignment,
    )


def _number(values: dict[bytes, int | bytes | None], key: bytes, otherwise: int) -> int:
    value = values.get(key)
    return value if isinstance(value, int) else otherwise
