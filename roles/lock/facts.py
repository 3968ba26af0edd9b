"""The facts of a model for the memory plan, from the beginnings of its files: a header, never the weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

from roles.contract.gguf import Header, read_header
from roles.fit.checkpoint import facts_of_checkpoint
from roles.fit.facts import facts_of
from roles.fit.stored import stored

Facts: TypeAlias = Mapping[str, Any] | str
"""As `roles.fit.stored` writes them; a text: why there are none."""

_LONGEST_HEADER = 100 << 20
"""Bytes. Source: `MAX_HEADER_SIZE` of the safetensors library."""


def gguf_header(file: BinaryIO, size: int) -> Header | str:
    """The header of an open GGUF file; a text: why it has none that can be read."""
    try:
        return read_header(file, size)
    except ValueError as error:
        return str(error)


def gguf_facts(headers: Sequence[Header | str]) -> Facts:
    """Of a model, from the headers of all its files in order."""
    first, *further = headers
    for header in headers:
        if isinstance(header, str):
            return header
    try:
        return stored(facts_of(*_all([first, *further])))
    except ValueError as error:
        return str(error)


def _all(headers: Sequence[Header | str]) -> Iterator[Header]:
    return (header for header in headers if isinstance(header, Header))


def safetensors_header(file: BinaryIO) -> Mapping[str, Any] | str:
    """The header of an open safetensors file: tensor → entry; a text: why it has none that can be read.

    Source: the format's description in the README of safetensors.
    """
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _LONGEST_HEADER:
            return "the header of its safetensors file does not end"
        header = json.loads(file.read(length))
    except (struct.error, ValueError, RecursionError):
        return "it has a safetensors file without a header"
    return header if isinstance(header, dict) else "it has a safetensors file without a header"


def checkpoint_facts(config: bytes | None, headers: Sequence[Mapping[str, Any] | str]) -> Facts:
    """Of a repository, from its `config.json` and the headers of its safetensors files."""
    if config is None or not headers:
        return f"it has no {'config.json' if config is None else 'safetensors files'} among the files that are fetched"
    tensors: dict[str, Any] = {}
    for header in headers:
        if isinstance(header, str):
            return header
        tensors |= header
    try:
        said = json.loads(config)
        return stored(facts_of_checkpoint(said if isinstance(said, dict) else {}, tensors))
    except (ValueError, RecursionError) as error:
        return str(error)
