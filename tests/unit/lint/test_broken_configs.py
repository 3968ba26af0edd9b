"""What the lint says of each way to break the rendered configuration: nearly all end there, before a host is asked."""

from __future__ import annotations

from typing import Any

import pytest

import roles.litellm.plan
from roles.checked_plans import lint_configuration
from roles.litellm import LiteLLM
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import OptionsError, Stack
from roles.rooms import plan_of
from tests.lab.broken_configs import WAYS, broken_config
from tests.stacks import native, python, route, vllm

NOT_BY_THE_LINT = {"database", "prometheus"}
"""With the first LiteLLM does not start: trying the new gateway out finds it. The second's package is in our lock."""


def whole_stack() -> Stack:
    """The names of the lab's whole stack."""
    release = OllamaRelease(version="0.32.15")
    return Stack(
        providers=[
            Ollama(release=release, models=[OllamaModel(name="tiny-ollama:latest")]),
            vllm(name="tiny", served_model_name="tiny-vllm"),
            python(served_name="tiny-python"),
            native(served_name="tiny-native"),
        ],
        routes=[
            route("tiny-ollama:latest", "ollama"),
            route("tiny-vllm", "tiny", fallbacks=["tiny-ollama:latest"]),
            route("tiny-python", "python", fallbacks=["tiny-native"]),
            route("tiny-native", "native", fallbacks=["tiny-python"]),
        ],
        aliases={"gpt-4o": "tiny-vllm"},
        gateway=LiteLLM(),
    )


def test_the_whole_stack_passes() -> None:
    lint_configuration(plan_of(whole_stack()))


@pytest.mark.parametrize("name", WAYS)
def test_it_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles.litellm.plan, "litellm_config", broken_config(WAYS[name]))
    plan: Any = plan_of(whole_stack())
    if name in NOT_BY_THE_LINT:
        lint_configuration(plan)
        return
    with pytest.raises(OptionsError, match=r"litellm-unified\.yaml:\d+: (error|warning): "):
        lint_configuration(plan)
