"""GGUF files: the names of a split model's, and the header: what it says of its model, how large each tensor is.

The format is that of ggml's `docs/gguf.md`. The file comes from outside: whatever it contains, reading it ends soon.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

PART_NAME = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)
"""The name of one of several files that are one model. Source: `llama_split_path` in llama.cpp."""

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_LONGEST_HEADER = 64 << 20
"""Bytes. The largest vocabularies take a third of them."""
_LONGEST_LIST = 4096
"""Numbers. What a model says of each of its layers is shorter; a vocabulary is longer, and its length is all we use."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_ALIGNMENT = 32
_MOST_DIMENSIONS = 4
_LAYER = re.compile(r"blk\.(\d{1,9})\.")

Value = int | float | str | tuple[int | float, ...]


@dataclass(frozen=True)
class Tensor:
    """`size`: bytes in the file, with the padding behind it."""

    name: str
    size: int

    @property
    def layer(self) -> int | None:
        """The number of the layer that it belongs to; None = it is outside of all."""
        found = _LAYER.match(self.name)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Header:
    """`values`: the metadata. Of a list of texts, and of a long list of numbers, only its length is kept.
    `tensors`: in their order in the file."""

    values: Mapping[str, Value]
    tensors: tuple[Tensor, ...]

    def number(self, key: str, otherwise: int = 0) -> int:
        value = self.values.get(key)
        return value if isinstance(value, int) else otherwise

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""


def read_header(file: BinaryIO, size: int) -> Header:
    """Read it from an open GGUF file.

    Args:
        size: bytes of the whole file.

    Raises:
        ValueError: it is not a GGUF file, or is incomplete.
    """
    reader = _Reader(file)
    if reader.take(4) != _MAGIC or reader.number("I") not in _VERSIONS:
        raise ValueError("it is no GGUF file of a known version")
    tensor_count, value_count = reader.number("Q"), reader.number("Q")
    values: dict[str, Value] = {}
    for _ in range(value_count):
        key = reader.text()
        values[key] = reader.value(reader.number("I"))
    found = sorted((_tensor(reader) for _ in range(tensor_count)), key=lambda tensor: tensor[1])
    alignment = values.get("general.alignment")
    step = alignment if isinstance(alignment, int) and alignment > 0 else _ALIGNMENT
    data = size + -reader.place // step * step
    ends = [*(start for _, start in found[1:]), data]
    if found and data < found[-1][1]:
        raise ValueError("the GGUF file is cut off")
    tensors = tuple(Tensor(name, end - start) for (name, start), end in zip(found, ends, strict=False))
    return Header(values, tensors)


def _tensor(reader: _Reader) -> tuple[str, int]:
    """Its name, and where it begins."""
    name, dimensions = reader.text(), reader.number("I")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions in the GGUF file's header")
    reader.take(8 * dimensions)
    reader.number("I")
    return name, reader.number("Q")


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
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return int(value)

    def text(self) -> str:
        return self.take(self.number("Q")).decode(errors="replace")

    def value(self, kind: int) -> Value:
        """A value of that GGUF type."""
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            return self._list()
        (value,) = self._unpacked(_form(kind))
        return value

    def _list(self) -> Value:
        of, count = self.number("I"), self.number("Q")
        if of == _TEXT:
            for _ in range(count):
                self.take(self.number("Q"))
            return count
        form = _form(of)
        if count > _LONGEST_LIST:
            self.take(count * struct.calcsize(f"<{form}"))
            return count
        return self._unpacked(f"{count}{form}")

    def _unpacked(self, form: str) -> tuple[int | float, ...]:
        found = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return tuple(int(value) if isinstance(value, bool) else value for value in found)


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"a value of unknown type {kind} in the GGUF file's header")
    return _SCALARS[kind]
