"""Reading what a GGUF file says of itself."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .go_formats import Float32

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_FLOAT32, _TEXT, _LIST = 6, 8, 9
_TENSOR_TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 8: ("Q8_0", 32, 34), 30: ("BF16", 1, 2)}
"""Name, numbers in a block, bytes of a block."""


class NotGguf(Exception):
    """Not a GGUF file, or a damaged one."""


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    type: str
    end: int
    """Offset in the file of what follows it."""


@dataclass
class Gguf:
    metadata: dict[str, Any] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    data_start: int = 0

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def parameter_count(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    def of_architecture(self, key: str) -> Any:
        return self.metadata.get(f"{self.architecture}.{key}")

    @property
    def embeds(self) -> bool:
        """Whether it is a model for embeddings, and for nothing else."""
        return self.of_architecture("pooling_type") is not None


def read_gguf(path: Path) -> Gguf:
    """Raises `NotGguf` in the words of the real server, `FileNotFoundError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise NotGguf("supplied file was not in GGUF format")
        try:
            found = _read(file)
        except struct.error as error:
            raise NotGguf("unexpected EOF") from error
    # The last tensor of a cut file is the one that is told of.
    for tensor in found.tensors:
        if tensor.end > size:
            raise NotGguf(f'tensor "{tensor.name}" offset+size ({tensor.end}) exceeds file size ({size})')
    return found


def _read(file: BinaryIO) -> Gguf:
    _version, tensors, keys = struct.unpack("<IQQ", file.read(20))
    found = Gguf()
    for _ in range(keys):
        key = _text(file)
        found.metadata[key] = _value(file, _scalar(file, "<I"))
    described = []
    for _ in range(tensors):
        name, dimensions = _text(file), _scalar(file, "<I")
        shape = struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions))
        described.append((name, shape, _scalar(file, "<I"), _scalar(file, "<Q")))
    alignment = int(found.metadata.get("general.alignment", 32))
    found.data_start = -(-file.tell() // alignment) * alignment
    for name, shape, kind, offset in described:
        type_name, block, width = _TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        end = found.data_start + offset + math.prod(shape) // block * width
        found.tensors.append(Tensor(name, shape, type_name, end))
    return found


def _scalar(file: BinaryIO, code: str) -> Any:
    return struct.unpack(code, file.read(struct.calcsize(code)))[0]


def _text(file: BinaryIO) -> str:
    length = _scalar(file, "<Q")
    return file.read(length).decode(errors="replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _LIST:
        of, length = _scalar(file, "<I"), _scalar(file, "<Q")
        return [_value(file, of) for _ in range(length)]
    number = _scalar(file, _SCALARS[kind])
    return Float32(number) if kind == _FLOAT32 else number
