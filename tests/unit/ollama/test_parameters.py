"""Parameters of models that Ollama makes: what it would ignore, or choke on later, is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from roles.ollama import OllamaModel
from roles.options import OptionsError, UrlFile

GGUF = UrlFile(url="https://files.example.com/own.gguf", sha256="a" * 64)


def model(**parameters: Any) -> OllamaModel:
    return OllamaModel(name="own:latest", gguf=GGUF, parameters=parameters)


TAKEN: list[tuple[str, object]] = [
    ("temperature", 0),
    ("temperature", 1.7),
    ("top_p", 1),
    ("min_p", 0.05),
    ("num_ctx", 8192),
    ("num_predict", -2),
    ("repeat_last_n", -1),
    ("seed", -1),
    ("presence_penalty", -2),
    ("num_gpu", 0),
    ("draft_num_predict", 0),
    ("use_mmap", False),
    ("stop", ["</s>", "User:"]),
]
REFUSED: list[tuple[str, object, str]] = [
    ("tempreature", 0.5, 'Ollama has no parameter `tempreature`; did you mean "temperature"?'),
    ("num_ctxt", 8192, 'Ollama has no parameter `num_ctxt`; did you mean "num_ctx"?'),
    ("system", "Be brief.", "Ollama has no parameter `system`; that is the option `system` of the model"),
    ("xyz", 1, "Ollama has no parameter `xyz`; it knows num_keep, seed, "),
    ("mirostat", 1, "Ollama no longer reads `mirostat`; remove it"),
    ("temperature", "0.5", "`temperature` is a number, not '0.5'"),
    ("temperature", True, "`temperature` is a number, not True"),
    ("temperature", -0.1, "`temperature` is at least 0, not -0.1"),
    ("top_p", 1.5, "`top_p` is from 0 to 1, not 1.5"),
    ("frequency_penalty", 3, "`frequency_penalty` is from -2 to 2, not 3"),
    ("num_ctx", 4096.5, "`num_ctx` is a whole number, not 4096.5"),
    ("num_ctx", ["4096"], "`num_ctx` is a whole number, not ['4096']"),
    ("num_ctx", 0, "`num_ctx` is at least 1, not 0"),
    ("num_predict", -3, "`num_predict` is at least -2 (-1 = no limit, -2 = until the context is full), not -3"),
    ("use_mmap", 1, "`use_mmap` is True or False, not 1"),
    ("stop", "</s>", "`stop` is a list of texts, not '</s>'; write ['</s>']"),
    ("stop", [""], "`stop` has an empty text, which every answer contains; remove it"),
]


def words(name: str, value: object) -> str:
    return f"{name} {value!r}"


@pytest.mark.parametrize(("name", "value"), [pytest.param(*each, id=words(*each)) for each in TAKEN])
def test_what_ollama_reads_is_taken(name: str, value: object) -> None:
    found = model(**{name: value}).parameters[name]
    assert (list(found) if isinstance(found, tuple) else found) == value


@pytest.mark.parametrize(("name", "value", "told"), [pytest.param(*each, id=words(*each[:2])) for each in REFUSED])
def test_what_ollama_would_ignore_or_not_understand_is_refused(name: str, value: object, told: str) -> None:
    with pytest.raises(OptionsError) as refused:
        model(**{name: value})
    assert told in str(refused.value)
