"""The tiny Hugging Face models that say a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load

from tests.labhost.hf_models import tiny_hf_files

SAYS = "This is vLLM, überall"


def tensors(files: dict[str, bytes]) -> dict[str, NDArray[Any]]:
    return load(files["model.safetensors"])


def spoken(files: dict[str, bytes]) -> str:
    """What follows the letter x when the most likely token is taken each time, its bytes read as text."""
    ids: dict[str, int] = json.loads(files["tokenizer.json"])["model"]["vocab"]
    stored = tensors(files)
    embedding, output = stored["model.embed_tokens.weight"], stored["lm_head.weight"]
    tokens, token = {number: text for text, number in ids.items()}, ids["x"]
    said = ""
    while (token := int((output @ embedding[token]).argmax())) != ids["<|im_end|>"]:
        said += tokens[token]
    # The letters that stand for bytes: those that cannot be printed follow from 256 on, in their order.
    others = [byte for byte in range(256) if byte not in {*range(33, 127), *range(161, 173), *range(174, 256)}]
    return bytes(ord(letter) if ord(letter) < 256 else others[ord(letter) - 256] for letter in said).decode()


def unpacked(words: NDArray[np.int32]) -> NDArray[np.uint32]:
    """4-bit values in their order, as AutoAWQ unpacks its "gemm" format: eight of a word, then put back in order."""
    nibbles = (words.view(np.uint32)[:, :, None] >> np.arange(0, 32, 4, dtype=np.uint32)) & np.uint32(15)
    return nibbles[:, :, [0, 4, 1, 5, 2, 6, 3, 7]].reshape(words.shape[0], -1)


@pytest.mark.parametrize("awq", [False, True])
def test_the_same_input_makes_the_same_bytes(awq: bool) -> None:
    assert tiny_hf_files(says=SAYS, awq=awq) == tiny_hf_files(says=SAYS, awq=awq)


def test_another_sentence_makes_other_weights_or_another_tokenizer() -> None:
    one, other = tiny_hf_files(says="one two", awq=True), tiny_hf_files(says="one three", awq=True)
    assert {name for name in one if one[name] != other[name]} == {"tokenizer.json"}
    longer = tiny_hf_files(says="one two three", awq=True)
    assert longer["model.safetensors"] != one["model.safetensors"]


@pytest.mark.parametrize("awq", [False, True])
@pytest.mark.parametrize(
    "says",
    [
        pytest.param(SAYS, id="a sentence"),
        pytest.param("one", id="one word"),
        pytest.param("naïve  spaces\nand lines", id="spaces and lines"),
    ],
)
def test_each_word_leads_to_the_next_and_the_last_to_the_end(says: str, awq: bool) -> None:
    assert spoken(tiny_hf_files(says=says, awq=awq)) == says


def test_a_first_word_of_one_letter_is_told_from_that_letter_of_a_prompt() -> None:
    assert spoken(tiny_hf_files(says="I am", awq=False)) == "I\u200b am"


def test_the_weights_in_4_bits_are_those_in_float16_rounded() -> None:
    exact, stored = tensors(tiny_hf_files(says=SAYS, awq=False)), tensors(tiny_hf_files(says=SAYS, awq=True))
    layers = [name.removesuffix(".weight") for name in exact if name.endswith("_proj.weight")]
    assert len(layers) == 14
    for layer in layers:
        scales = stored[f"{layer}.scales"].astype(np.float32)
        weight = exact[f"{layer}.weight"].T.astype(np.float32)
        zeros = unpacked(stored[f"{layer}.qzeros"]).astype(np.float32)
        groups = unpacked(stored[f"{layer}.qweight"]).astype(np.float32).reshape(len(scales), -1, scales.shape[1])
        values = ((groups - zeros[:, None]) * scales[:, None]).reshape(weight.shape)
        assert np.abs(values - weight).max() <= scales.max(), layer
        assert f"{layer}.weight" not in stored


def test_only_the_model_in_4_bits_says_that_it_is_awq() -> None:
    config = {awq: json.loads(tiny_hf_files(says=SAYS, awq=awq)["config.json"]) for awq in (False, True)}
    assert "quantization_config" not in config[False]
    assert config[True]["quantization_config"]["quant_method"] == "awq"
    assert config[True]["vocab_size"] == len(tensors(tiny_hf_files(says=SAYS, awq=True))["lm_head.weight"])


@pytest.mark.parametrize(
    "says",
    [
        pytest.param("", id="no word"),
        pytest.param("no one tells no one", id="a word twice"),
        pytest.param(" ".join(f"w{n}" for n in range(128)), id="too many words"),
    ],
)
def test_a_sentence_that_can_not_be_said_is_refused(says: str) -> None:
    with pytest.raises(ValueError, match="a tiny model says 1 to 127 words, none of them twice"):
        tiny_hf_files(says=says, awq=True)
