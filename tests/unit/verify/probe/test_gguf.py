"""What a GGUF file says of its layers: files of the gguf package, and files that are broken on purpose."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import gguf
import pytest

from roles.contract import gguf as ours
from roles.verify.probe.gguf import layers_size
from tests.labhost.models import Shape, write_tiny_gguf
from tests.sparse_gguf import write_sparse_gguf

SHAPE = Shape(layers=5)
TENSORS = {
    "token_embd.weight": 10_016,
    "blk.0.a.weight": 1024,
    "blk.1.a.weight": 2048,
    "output.weight": 320,
    "blk.2.a.weight": 4096,
    "v.blk.0.a.weight": 640,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.mark.parametrize(
    ("last", "counted"),
    [
        pytest.param(None, range(5), id="not said"),
        pytest.param(99, range(5), id="more than there are"),
        pytest.param(6, range(5), id="all and the output"),
        pytest.param(3, (3, 4), id="3"),
        pytest.param(1, (), id="1"),
        pytest.param(0, (), id="none"),
    ],
)
def test_the_layers_are_counted_as_the_gguf_package_counts_them(
    file: Path, last: int | None, counted: range | tuple[int, ...]
) -> None:
    write_tiny_gguf(file, says="one two three", name="tiny", shape=SHAPE)
    tensors = gguf.GGUFReader(file).tensors
    assert layers_size(file, last) == sum(
        int(tensor.n_bytes) for tensor in tensors if tensor.name.startswith(tuple(f"blk.{layer}." for layer in counted))
    )


def test_neither_embeddings_nor_the_output_nor_other_parts_count(file: Path) -> None:
    assert layers_size(write_sparse_gguf(file, TENSORS, layers=3), None) == 1024 + 2048 + 4096


def test_layers_that_only_draft_do_not_count(file: Path) -> None:
    write_sparse_gguf(file, TENSORS, layers=3, drafting=1)
    assert layers_size(file, None) == 1024 + 2048
    assert layers_size(file, 3) == 2048


def test_a_model_without_layers_has_none(file: Path) -> None:
    assert layers_size(write_sparse_gguf(file, {}, layers=0), None) == 0


@pytest.mark.parametrize("length", [0, 3, 4, 8, 20, 100, 300, 5000])
def test_a_file_that_is_cut_off_is_refused(file: Path, length: int) -> None:
    content = write_sparse_gguf(file, TENSORS, layers=3).read_bytes()
    file.write_bytes(content[:length])
    with pytest.raises(ValueError, match="GGUF"):
        layers_size(file, None)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"GGML" + bytes(100), id="an older magic"),
        pytest.param(b"GGUF" + struct.pack("<I", 1) + bytes(100), id="an older version"),
        pytest.param(b"<html>" * 9, id="a page"),
    ],
)
def test_another_kind_of_file_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match="no GGUF file of a known version"):
        layers_size(file, None)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(struct.pack("<QI", 0, 8) + struct.pack("<Q", 1 << 63), id="a text without end"),
        pytest.param(struct.pack("<QI", 0, 9) + struct.pack("<IQ", 8, 1 << 63), id="a list of texts"),
        pytest.param(struct.pack("<QI", 0, 9) + struct.pack("<IQ", 10, 1 << 62), id="a list of numbers"),
        pytest.param(struct.pack("<QI", 0, 9) + struct.pack("<IQ", 9, 1), id="a list of lists"),
        pytest.param(struct.pack("<QI", 0, 77), id="a type that nobody knows"),
    ],
)
def test_a_header_that_would_never_end_is_refused_soon(
    file: Path, values: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_LONGEST_HEADER", 1 << 20)
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + values + bytes(4 << 20))
    started = time.monotonic()
    with pytest.raises(ValueError, match="GGUF"):
        layers_size(file, None)
    assert time.monotonic() - started < 20


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(OSError, match=r"model\.gguf"):
        layers_size(file, None)
