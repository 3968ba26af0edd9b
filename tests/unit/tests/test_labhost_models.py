"""The tiny models that say a sentence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from tests.labhost.files import MODELS
from tests.labhost.models import Shape, write_tiny_gguf, write_tiny_reranker


def written(folder: Path, says: str, name: str = "tiny") -> bytes:
    path = folder / "model.gguf"
    write_tiny_gguf(path, says=says, name=name)
    return path.read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_the_same_input_makes_the_same_bytes(tmp_path: Path, name: str) -> None:
    says = MODELS[name]
    assert hashlib.sha256(written(tmp_path, says)).digest() == hashlib.sha256(written(tmp_path, says)).digest()


def test_another_sentence_or_name_makes_other_bytes(tmp_path: Path) -> None:
    assert len({written(tmp_path, "one two"), written(tmp_path, "one three"), written(tmp_path, "one two", "b")}) == 3


def test_each_word_leads_to_the_next_and_the_last_to_the_end(tmp_path: Path) -> None:
    written(tmp_path, "I am here")
    reader = GGUFReader(tmp_path / "model.gguf")
    vocabulary = reader.fields["tokenizer.ggml.tokens"].contents()
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    embedding, output = tensors["token_embd.weight"], tensors["output.weight"]
    said, token = [], vocabulary.index("x")
    while (token := int((output @ embedding[token]).argmax())) != vocabulary.index("</s>"):
        said.append(vocabulary[token])
    assert "".join(said).replace("\u2581", " ").replace("\u200b", "") == "I am here"


@pytest.mark.parametrize(
    "says",
    [
        pytest.param("", id="no word"),
        pytest.param("no one tells no one", id="a word twice"),
        pytest.param(" ".join(f"w{n}" for n in range(64)), id="too many words"),
    ],
)
def test_a_sentence_that_can_not_be_said_is_refused(tmp_path: Path, says: str) -> None:
    with pytest.raises(ValueError, match="a tiny model says 1 to 63 words, none of them twice"):
        written(tmp_path, says)


def test_a_reranker_favours_one_character_alone(tmp_path: Path) -> None:
    write_tiny_reranker(tmp_path / "ranker.gguf", favours="!", name="ranker")
    reader = GGUFReader(tmp_path / "ranker.gguf")
    vocabulary = reader.fields["tokenizer.ggml.tokens"].contents()
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    scores = tensors["token_embd.weight"] @ tensors["cls.output.weight"].T
    assert [vocabulary[token] for token in (scores[:, 0] > scores[:, 1]).nonzero()[0]] == ["!"]
    with pytest.raises(ValueError, match="favours one printable character, not 'ab'"):
        write_tiny_reranker(tmp_path / "other.gguf", favours="ab", name="other")


def test_layers_that_are_alike_have_the_numbers_of_the_first(tmp_path: Path) -> None:
    for alike in (False, True):
        shape = Shape(layers=3, alike=alike)
        write_tiny_gguf(tmp_path / "model.gguf", says="a bb", name="alike", shape=shape)
        tensors = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
        assert len(tensors) == 3 + 3 * 9
        for layer in (1, 2):
            first, other = (tensors[f"blk.{number}.attn_q.weight"] for number in (0, layer))
            assert np.array_equal(first, other) is alike


def test_a_model_of_another_shape_has_matrices_in_half_and_vectors_in_whole_numbers(tmp_path: Path) -> None:
    shape = Shape(width=256, layers=1, heads=2, key_value_heads=1, feed_forward=320, half=True)
    says = " ".join(f"w{number}" for number in range(200))
    write_tiny_gguf(tmp_path / "model.gguf", says=says, name="large", shape=shape)
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
    assert tensors["blk.0.ffn_down.weight"].shape == (256, 320)
    assert tensors["blk.0.attn_k.weight"].shape == (128, 256)
    assert {data.dtype for data in tensors.values() if data.ndim > 1} == {np.dtype(np.float16)}
    assert {data.dtype for data in tensors.values() if data.ndim == 1} == {np.dtype(np.float32)}
