"""The memory plan at the command line: its table, and what fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.fit.__main__ import main
from tests.hollow_models import Hollow, write_hollow

MODEL = Hollow(width=1024, layers=4, heads=8, key_value_heads=2, feed_forward=2816, tied=True, trained=32_768)
"""512 numbers of each token in each layer, so a token takes 4 KiB of cache at f16."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_hollow(tmp_path_factory.mktemp("fit") / "model.gguf", MODEL))


def row(text: str, name: str) -> list[int]:
    """The numbers of the row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return [int(word) for word in line[28:].split()]


def test_the_parts_add_up(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "--ctx-size", "8192", "--cpu"]) == 0
    text = capsys.readouterr().out
    assert row(text, "KV cache")[-1] == 32
    weights, cache, buffers, together = (row(text, name)[-1] for name in ("weights", "KV", "buffers", "together"))
    assert abs(weights + cache + buffers - together) <= 2  # each is rounded up


def test_a_quantized_cache_takes_less(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([file, "--ctx-size", "8192", "--cpu", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"])
    assert row(capsys.readouterr().out, "KV cache")[-1] == 17


def test_layers_that_stay_in_main_memory_leave_the_card(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([file, "--ctx-size", "8192", "--gpu-layers", "3"])
    assert row(capsys.readouterr().out, "KV cache") == [16, 16]
    main([file, "--ctx-size", "8192", "--gpu-layers", "0"])
    text = capsys.readouterr().out
    assert row(text, "KV cache") == [0, 32]
    assert row(text, "CUDA context") == [0, 0]


def test_what_does_not_fit_is_refused_with_the_largest_context_that_does(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([file, "--ctx-size", "32768", "--memory", "936M"]) == 1
    answer = capsys.readouterr().out.splitlines()[-1]
    assert "does not fit into 936 MiB" in answer
    largest = int(answer.split(" tokens")[0].split()[-1])
    assert main([file, "--ctx-size", str(largest), "--memory", "936M"]) == 0
    assert main([file, "--ctx-size", str(largest + 256), "--memory", "936M"]) == 1


def test_where_no_context_fits_it_is_said(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "--ctx-size", "8192", "--memory", "64M"]) == 1
    assert "No context fits" in capsys.readouterr().out


def test_an_unknown_architecture_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(write_hollow(tmp_path / "m.gguf", Hollow("mamba"))), "--cpu"])
    assert "Only the weights are sure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["/nowhere.gguf"], "cannot be read: No such file", id="no file"),
        pytest.param([__file__], "no GGUF file of a known version", id="another file"),
    ],
)
def test_a_file_that_cannot_be_planned_is_one_message(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(["--memory", "24"], id="a size without a unit"),
        pytest.param(["--memory", "24g"], id="a size in lower case"),
        pytest.param(["--parallel", "0"], id="no slot"),
        pytest.param(["--ctx-size", "many"], id="a word"),
    ],
)
def test_a_wrong_number_is_said_in_words(file: str, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([file, *option])
    assert ended.value.code == 2
    assert "give" in capsys.readouterr().err
