"""What the memory plan reads of a model, held against published architectures and the gguf package."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from roles.contract.gguf import Header, read_header
from roles.fit.facts import ModelFacts, facts_of
from roles.fit.llama_cpp import Settings, needs
from tests.hollow_models import Hollow, write_hollow

KIB = 1024


def facts(folder: Path, model: Hollow) -> ModelFacts:
    path = write_hollow(folder / "model.gguf", model)
    with path.open("rb") as file:
        return facts_of(read_header(file, path.stat().st_size))


def of(**shape: int) -> Hollow:
    """A model of that shape, with as little else as can be."""
    return Hollow(**{"feed_forward": 32, "vocabulary": 320, **shape})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "kibibytes"),
    [
        # From the models' own config.json: layers x 2 x heads x 128 numbers of two bytes.
        pytest.param(of(width=4096, layers=32, heads=32, key_value_heads=8), 128, id="Llama 3.1 8B"),
        pytest.param(of(width=3584, layers=28, heads=28, key_value_heads=4), 56, id="Qwen2.5 7B"),
        pytest.param(of(width=1536, layers=28, heads=12, key_value_heads=2), 28, id="Qwen2.5 1.5B"),
        pytest.param(of(width=2048, layers=36, heads=16, key_value_heads=2), 36, id="Qwen2.5 3B"),
        pytest.param(of(width=2560, layers=36, heads=32, key_value_heads=8, key_length=128), 144, id="Qwen3 4B"),
        pytest.param(of(width=8192, layers=80, heads=64, key_value_heads=8), 320, id="Llama 3.1 70B"),
        pytest.param(of(width=4096, layers=32, heads=32, key_value_heads=32), 512, id="Llama 2 7B, no GQA"),
        pytest.param(of(width=4096, layers=32, heads=32, key_value_heads=8), 128, id="Mistral 7B"),
    ],
)
def test_a_token_of_a_known_model_takes_what_is_published(tmp_path: Path, model: Hollow, kibibytes: int) -> None:
    found = facts(tmp_path, model)
    assert needs(found, Settings(context=1024), with_card=False).main.cache == 1024 * kibibytes * KIB


def test_the_weights_are_those_that_the_gguf_package_counts(tmp_path: Path) -> None:
    model = Hollow("qwen3moe", experts=8, experts_used=2, key_length=128)
    found = facts(tmp_path, model)
    tensors = gguf.GGUFReader(tmp_path / "model.gguf").tensors
    assert found.weights == sum(int(tensor.n_bytes) for tensor in tensors)
    experts = sum(int(tensor.n_bytes) for tensor in tensors if "_exps." in tensor.name)
    assert sum(layer.experts for layer in found.layers) == experts
    assert found.feed_forward == 2 * model.feed_forward


@pytest.mark.parametrize(
    ("model", "windowed"),
    [
        pytest.param(Hollow("gemma2", layers=4, further={"attention.sliding_window": 512}), [0, 2], id="gemma2"),
        pytest.param(
            Hollow("gemma3", layers=7, further={"attention.sliding_window": 512}), [0, 1, 2, 3, 4, 6], id="gemma3"
        ),
        pytest.param(Hollow("gemma3", layers=4), [], id="gemma3 without windows"),
        pytest.param(Hollow("cohere2moe", layers=5, further={"attention.sliding_window": 9}), [1, 2, 3], id="first"),
        pytest.param(
            Hollow(
                "gemma2",
                layers=3,
                further={
                    "attention.sliding_window": 512,
                    "attention.sliding_window_pattern": [False, True, True],
                },
            ),
            [1, 2],
            id="each layer said",
        ),
        pytest.param(Hollow("phi3", further={"attention.sliding_window": 512}), [], id="a window that is not used"),
    ],
)
def test_the_layers_with_a_window_are_those_of_llama_cpp(tmp_path: Path, model: Hollow, windowed: list[int]) -> None:
    layers = facts(tmp_path, model).layers
    assert [number for number, layer in enumerate(layers) if layer.window] == windowed


def test_an_architecture_that_nobody_looked_at_is_not_known(tmp_path: Path) -> None:
    assert facts(tmp_path, Hollow("llama")).known
    assert not facts(tmp_path, Hollow("mamba")).known


def test_a_part_of_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with path.open("rb") as file, pytest.raises(ValueError, match="a model in 3 files, and 1 is given"):
        facts_of(read_header(file, path.stat().st_size))


def test_a_model_in_two_files_has_the_weights_of_both(tmp_path: Path) -> None:
    whole = facts(tmp_path, Hollow(layers=4))
    with (tmp_path / "model.gguf").open("rb") as file:
        header = read_header(file, (tmp_path / "model.gguf").stat().st_size)
    half = len(header.tensors) // 2
    first = Header({**header.values, "split.count": 2}, header.tensors[:half])
    assert facts_of(first, Header({"split.count": 2}, header.tensors[half:])) == whole


def test_a_file_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "projector.gguf"
    writer = gguf.GGUFWriter(path, "clip")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with path.open("rb") as file, pytest.raises(ValueError, match="no language model"):
        facts_of(read_header(file, path.stat().st_size))
