"""Each option has an example that works as it stands."""

from __future__ import annotations

from typing import Any

import pytest

from roles.llama_cpp import LlamaCppPython
from roles.options import Options, OptionsError, Outbound, Stack
from roles.options.base import example
from tests.option_groups import GROUPS, public_names

_KEY = f'UrlFile(url="https://nvidia.example.com/d/key.pub", sha256="{"0" * 64}")'
_GGUF = f'LocalFile(path="model.gguf", sha256="{"0" * 64}")'
_ADAPTER = f'LoraAdapter(name="a", model=HubModel(repository="a/b", revision="{"0" * 40}"))'
_BESIDE = {
    "Cloud.api_version": 'vendor="azure", models=["gpt-4o-mini"], api_base="https://ours.openai.azure.com"',
    "Cloud.prices": 'models=["claude-next"]',
    "Cloud.retention": 'vendor="openai", models=["gpt-4o-mini"]',
    "Cloud.region": 'vendor="bedrock", models=["amazon.nova-lite-v1:0"]',
    "Existing.ca": 'url="https://127.0.0.1:11434/v1"',
    "Email.password": 'user="box"',
    "Email.user": 'password=EnvSecret("SMTP_PASSWORD")',
    "LlamaCppBuild.cuda_architectures": 'backend="cuda"',
    "LlamaCppBuild.cuda_toolkit": 'backend="cuda"',
    "LlamaCppBuild.hip_targets": 'backend="hip"',
    "LlamaCppPython.cache_type_v": "flash_attention=True",
    "LlamaCppPython.mmproj": 'chat_format="mtmd"',
    "LlamaServer.draft_gpu_layers": f"draft_model={_GGUF}",
    "LlamaServer.draft_max": f"draft_model={_GGUF}",
    "LlamaServer.draft_min": f"draft_model={_GGUF}",
    "NvidiaDriver.key": 'source="nvidia", repository="https://nvidia.example.com/d"',
    "NvidiaDriver.repository": f'source="nvidia", key={_KEY}',
    "OllamaModel.parameters": f"gguf={_GGUF}",
    "OllamaModel.system": f"gguf={_GGUF}",
    "OllamaModel.template": f"gguf={_GGUF}",
    "OllamaRelease.rocm_sha256": "rocm=True",
    "RemoteWrite.password": 'user="box"',
    "RemoteWrite.user": 'password=EnvSecret("METRICS_PASSWORD")',
    "Vllm.max_lora_rank": f"lora_modules=[{_ADAPTER}]",
    "Vllm.max_loras": f"lora_modules=[{_ADAPTER}]",
    "Vllm.package": 'gpus=None, kv_cache_memory_bytes="1G"',
    "PythonServerModel.cache_type_v": "flash_attention=True",
    "PythonServerModel.mmproj": 'chat_format="mtmd"',
}
"""Option → another one that it only works with."""

_ABSTRACT = [group for group in GROUPS if group.__dict__.get("abstract")]
_OPTIONS = [(group, option) for group in GROUPS for option in group.model_fields]


def _written(text: str) -> dict[str, Any]:
    """The options that a text gives, as it stands in an inventory."""
    given = eval(f"dict({text})", {"__builtins__": {}, "dict": dict, **public_names()})
    assert isinstance(given, dict)
    return given


def _needed(group: type[Options], option: str = "") -> dict[str, Any]:
    """The examples of the other options that one cannot do without; of all of them, if none is named."""
    needed = [name for name, field in group.model_fields.items() if field.is_required()]
    if group is LlamaCppPython and option != "models":
        needed += ["model", "served_name"]
    if group is Outbound and option != "ca":
        needed.append("proxy")
    if group is Stack:
        needed += [name for name in ("providers", "gateway", "routes") if name != option]
    beside = _written(_BESIDE.get(f"{group.__name__}.{option}", ""))
    return {name: _written(example(group.model_fields[name]))[name] for name in needed} | beside


@pytest.mark.parametrize(("group", "option"), _OPTIONS, ids=lambda part: getattr(part, "__name__", part))
def test_each_option_has_an_example_that_works(group: type[Options], option: str) -> None:
    field = group.model_fields[option]
    assert len(field.examples or ()) == 1, f"give {group.__name__}.{option} one example: Field(examples=['{option}=…'])"
    given = _written(example(field))
    assert list(given) == [option]
    assert given[option] != field.get_default(call_default_factory=True), "shows no more than the default"
    _made(group, _needed(group, option) | given)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_the_examples_of_the_required_options_make_a_group(group: type[Options]) -> None:
    _made(group, _needed(group))


def _made(group: type[Options], options: dict[str, Any]) -> Options:
    """A group of these options; of one that is only what others have in common, the first of those.

    A group made for the test would not do: while it lives, the messages of other tests name it as a choice.
    """
    if group in _ABSTRACT:
        made = next(each for each in GROUPS if issubclass(each, group) and each not in _ABSTRACT)
        return made(**_needed(made) | options)
    return group(**options)


@pytest.mark.parametrize("group", _ABSTRACT, ids=lambda group: group.__name__)
def test_what_groups_have_in_common_is_none_itself(group: type[Options]) -> None:
    with pytest.raises(OptionsError, match=rf"{group.__name__}: give \w+\("):
        group()
