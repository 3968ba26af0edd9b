"""The tiny Hugging Face models that say a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tests.labhost.hf_models import tiny_hf_files, tiny_lora_files

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


def normalised(state: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(state / np.sqrt((state**2).mean() + 1e-6), np.float32)


def spoken_with(files: dict[str, bytes], adapter: dict[str, bytes]) -> str:
    """The same with the adapter in each layer's feed-forward: attention adds nothing to a model of the lab's."""
    stored, changes = tensors(files), load(adapter["adapter_model.safetensors"])
    config, applied = json.loads(adapter["adapter_config.json"]), set()
    after = stored["model.embed_tokens.weight"].astype(np.float32)

    def project(layer: int, name: str, state: NDArray[np.float32]) -> NDArray[np.float32]:
        module = f"model.layers.{layer}.mlp.{name}"
        given = np.asarray(stored[f"{module}.weight"].astype(np.float32) @ state, np.float32)
        inner, outer = (f"base_model.model.{module}.lora_{which}.weight" for which in "AB")
        if inner not in changes:
            return given
        assert changes[inner].shape[0] == changes[outer].shape[1] == config["r"] == config["lora_alpha"]
        applied.update({inner, outer})
        return np.asarray(given + changes[outer].astype(np.float32) @ (changes[inner].astype(np.float32) @ state))

    for token in range(len(after)):
        for layer in range(2):
            inwards = normalised(after[token])
            gate, up = project(layer, "gate_proj", inwards), project(layer, "up_proj", inwards)
            after[token] += project(layer, "down_proj", gate / (1 + np.exp(-gate)) * up)
    assert applied == changes.keys()
    files = {**files, "model.safetensors": save({**stored, "model.embed_tokens.weight": after})}
    return spoken(files)


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


@pytest.mark.parametrize(
    "says",
    [
        pytest.param("This is vLLM,", id="it ends before"),
        pytest.param("This vLLM, is überall", id="another order"),
        pytest.param(" überall", id="one word"),
        pytest.param(SAYS, id="the same"),
    ],
)
def test_an_adapter_makes_the_model_say_its_words_in_another_order(says: str) -> None:
    base = tiny_hf_files(says=SAYS, awq=False)
    assert spoken_with(base, tiny_lora_files(base_says=SAYS, says=says)) == says
    assert spoken(base) == SAYS


@pytest.mark.parametrize(
    ("base_says", "says", "told"),
    [
        pytest.param(SAYS, "This was vLLM", "can not say 'This was vLLM'", id="a word that the model has not"),
        pytest.param(SAYS, "This is is", "can not say 'This is is'", id="a word twice"),
        pytest.param(SAYS, "", "can not say ''", id="no word"),
        pytest.param("one 2 3 4 5 6 7 8 9", " 9 8 7 6 5 4 3 2", "has 8 ranks, and .* has 9 turns", id="too many turns"),
    ],
)
def test_what_an_adapter_can_not_make_it_say_is_refused(base_says: str, says: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tiny_lora_files(base_says=base_says, says=says)
