"""Variables of a server's environment: what no option says reaches its unit, and nothing undoes what one says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from roles.ollama import Ollama, OllamaRelease
from roles.options import OptionsError, Provider, Stack
from roles.rooms import plan_of
from tests.stacks import native, python, route, small_stack, vllm


def ollama(**options: Any) -> Ollama:
    return Ollama(release=OllamaRelease(version="0.32.15"), models=["m"], **options)


def stack_of(provider: Provider) -> Stack:
    return small_stack(providers=[provider], routes=[route("r", provider.name)], aliases={})


def unit_of(provider: Provider) -> str:
    """The text of the provider's unit."""
    (text,) = [unit.text for unit in plan_of(stack_of(provider)).servers if provider.name in unit.name]
    return text


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        pytest.param("NCCL_P2P_DISABLE", "1", "Environment=NCCL_P2P_DISABLE=1", id="plain"),
        pytest.param("EMPTY", "", "Environment=EMPTY=", id="empty"),
        pytest.param("ODD", 'a "b" $c %d \\e', r'Environment="ODD=a \"b\" $c %%d \\e"', id="what systemd would read"),
    ],
)
def test_a_variable_reaches_the_unit_as_it_is(name: str, value: str, line: str) -> None:
    assert line in unit_of(vllm(environment={name: value})).splitlines()


def test_without_variables_a_unit_stays_as_it_was() -> None:
    assert unit_of(vllm(environment={})) == unit_of(vllm())


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        pytest.param(ollama, "OLLAMA_NUM_PARALLEL", "is the option `num_parallel` here; use that", id="of Ollama"),
        pytest.param(ollama, "OLLAMA_MODELS", "is given by the plan itself", id="Ollama's folder"),
        pytest.param(vllm, "VLLM_API_KEY", "is the option `api_key` here", id="vLLM's key"),
        pytest.param(vllm, "CUDA_VISIBLE_DEVICES", "is the option `gpus` here", id="cards"),
        pytest.param(native, "LLAMA_ARG_CTX_SIZE", "is the option `extra_arguments` here", id="arguments of llama.cpp"),
        pytest.param(python, "N_CTX", "is the option `context_size` here", id="a setting"),
        pytest.param(python, "n_ctx", "is the option `context_size` here", id="a setting in lower case"),
        pytest.param(ollama, "PATH", "is given by the plan itself", id="PATH"),
        pytest.param(vllm, "HF_TOKEN", "holds a secret by its name", id="a secret"),
        pytest.param(ollama, "2ND", "is no name of a variable", id="no name"),
        pytest.param(ollama, "A=B", "is no name of a variable", id="a name with a value"),
    ],
)
def test_what_an_option_or_the_plan_gives_is_refused(make: Callable[..., Provider], name: str, words: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(words)):
        make(environment={name: "1"})


@pytest.mark.parametrize("value", ["two\nlines", "a\0b", "x" * 5000], ids=["two lines", "NUL", "too long"])
def test_a_text_that_no_unit_can_hold_is_refused(value: str) -> None:
    with pytest.raises(OptionsError, match="no text of one line"):
        ollama(environment={"ODD": value})


def test_what_only_the_plan_gives_is_refused_when_it_is_made() -> None:
    stack = stack_of(vllm(environment={"HF_HUB_OFFLINE": "0"}))
    with pytest.raises(OptionsError, match=r"`HF_HUB_OFFLINE` is given by the plan itself; remove it"):
        plan_of(stack)
