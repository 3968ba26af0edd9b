"""A lock that somebody edited, and the beginnings of models that somebody serves: read, or refused in one message."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roles.lock import LockError, read_lock_file
from roles.lock.facts import checkpoint_facts, gguf_facts, gguf_header, safetensors_header
from tests.fuzz_values import JSON, damaged, refusal

LOCK = {
    "version": 1,
    "hosts": {"box": ["org/m@main"]},
    "hub": {"org/m@main": {"commit": "a" * 40, "patterns": ["*"], "files": {"m": {"size": 1, "sha256": "b" * 64}}}},
    "registry": {"m:1b": {"digest": "c" * 64, "size": 1, "layers": [{"kind": "model", "digest": "c" * 64, "size": 1}]}},
    "python": {"vllm": {"of": "vllm 0.32.0", "requirements": "d" * 64}},
}
CONFIG = {"model_type": "qwen2", "num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2}
HEADER = {"w": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lock") / "box.lock"


@given(
    text=st.one_of(
        damaged(LOCK).map(lambda content: yaml.safe_dump(content).encode()),
        JSON.map(lambda content: json.dumps(content).encode()),
        st.binary(max_size=80),
        st.text(max_size=80).map(lambda text: text.encode(errors="replace")),
        st.just(b"[" * 5000),
    )
)
def test_a_lock_is_read_or_refused_in_one_message(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    message = refusal(lambda: read_lock_file(path), LockError)
    assert message.isprintable()
    assert len(message) < 1000


@given(
    config=st.one_of(damaged(CONFIG).map(lambda content: json.dumps(content).encode()), st.binary(max_size=60)),
    header=st.one_of(
        damaged(HEADER).map(lambda content: json.dumps(content).encode()),
        st.binary(max_size=60),
        st.just(b"[" * 100_000),
    ),
    length=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
)
def test_a_repository_has_facts_or_a_reason(config: bytes, header: bytes, length: int | None) -> None:
    sent = struct.pack("<Q", len(header) if length is None else length) + header
    facts: Any = checkpoint_facts(config, [safetensors_header(io.BytesIO(sent))])
    assert facts


@given(text=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: b"GGUF\x03\0\0\0" + rest)))
def test_a_gguf_file_has_facts_or_a_reason(text: bytes) -> None:
    assert gguf_facts([gguf_header(io.BytesIO(text), len(text))])
