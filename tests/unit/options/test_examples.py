"""Each option has an example that works as it stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import roles.options
import roles.rooms  # registers the rooms of services
import tests.toy_service
from roles.llama_cpp import LlamaCppPython
from roles.options import Options
from roles.options.base import example
from roles.plan import rooms

_GGUF = f'LocalFile(path="model.gguf", sha256="{"0" * 64}")'
_BESIDE = {
    "LlamaCppBuild.cuda_architectures": 'backend="cuda"',
    "LlamaCppBuild.hip_targets": 'backend="hip"',
    "LlamaCppPython.cache_type_v": "flash_attention=True",
    "LlamaCppPython.mmproj": 'chat_format="mtmd"',
    "LlamaServer.draft_gpu_layers": f"draft_model={_GGUF}",
    "LlamaServer.draft_max": f"draft_model={_GGUF}",
    "LlamaServer.draft_min": f"draft_model={_GGUF}",
    "OllamaModel.parameters": f"gguf={_GGUF}",
    "OllamaModel.system": f"gguf={_GGUF}",
    "OllamaModel.template": f"gguf={_GGUF}",
    "OllamaRelease.rocm_sha256": "rocm=True",
    "PythonServerModel.cache_type_v": "flash_attention=True",
    "PythonServerModel.mmproj": 'chat_format="mtmd"',
}
"""Option → another one that it only works with."""


def _groups(base: type[Options]) -> Iterator[type[Options]]:
    """The groups of options that an inventory can write, and that other groups share."""
    for group in base.__subclasses__():
        if group.__module__.startswith(("roles.", f"{tests.toy_service.__name__}.")):
            yield group
        yield from _groups(group)


_GROUPS = [group for group in dict.fromkeys(_groups(Options)) if not group.__name__.startswith("_")]
_OPTIONS = [(group, option) for group in _GROUPS for option in group.model_fields]


def _names() -> dict[str, Any]:
    """What an inventory can import: the public names of the options and of the rooms."""
    packages = [service.__module__.rpartition(".")[0] for room in rooms() for service in room.planners]
    modules = [roles.options, *(sys.modules[package] for package in packages)]
    return {name: getattr(module, name) for module in modules for name in module.__all__}


def _written(text: str) -> dict[str, Any]:
    """The options that a text gives, as it stands in an inventory."""
    given = eval(f"dict({text})", {"__builtins__": {}, "dict": dict, **_names()})
    assert isinstance(given, dict)
    return given


def _needed(group: type[Options], option: str = "") -> dict[str, Any]:
    """The examples of the other options that one cannot do without; of all of them, if none is named."""
    needed = [name for name, field in group.model_fields.items() if field.is_required()]
    if group is LlamaCppPython and option != "models":
        needed += ["model", "served_name"]
    beside = _written(_BESIDE.get(f"{group.__name__}.{option}", ""))
    return {name: _written(example(group.model_fields[name]))[name] for name in needed} | beside


@pytest.mark.parametrize(("group", "option"), _OPTIONS, ids=lambda part: getattr(part, "__name__", part))
def test_each_option_has_an_example_that_works(group: type[Options], option: str) -> None:
    field = group.model_fields[option]
    assert len(field.examples or ()) == 1, f"give {group.__name__}.{option} one example: Field(examples=['{option}=…'])"
    given = _written(example(field))
    assert list(given) == [option]
    assert given[option] != field.get_default(call_default_factory=True), "shows no more than the default"
    group(**_needed(group, option) | given)


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.__name__)
def test_the_examples_of_the_required_options_make_a_group(group: type[Options]) -> None:
    group(**_needed(group))
