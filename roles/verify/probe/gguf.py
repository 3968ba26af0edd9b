"""Reads from a GGUF file how many bytes its model's layers have.

The format is that of ggml's `docs/gguf.md`. The file comes from outside: whatever it contains, reading it ends soon.
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
"""Bytes. The largest vocabularies take a third of them."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_ALIGNMENT = 32
_LAYER = re.compile(rb"blk\.(\d{1,9})\.")


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
    """`tensors`: each one's name and offset below `end`, in the order of the offsets. `drafting`: the number of draft
    layers."""

    layers: int
    drafting: int
    tensors: list[tuple[bytes, int]]
    end: int


class _Reader:
    """Reads values one after the other, up to the longest header that is accepted."""

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
        """A value of that `struct` format; 0 for a floating-point one."""
        code = f"<{form}"
        (value,) = struct.unpack(code, self.take(struct.calcsize(code)))
        return int(value) if form not in "fd" else 0

    def text(self) -> bytes:
        return self.take(self.number("Q"))

    def value(self, kind: int) -> int | bytes | None:
        """A value of that GGUF type; None for a list, which is skipped."""
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
