"""What the options of the native server mean for a host: its command line, its files, its models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from roles.options import Gpus, TextFile
from tests.llama_cpp_plans import build_for, command_of, generation_of, other_model, unit_of
from tests.stacks import CUDA_BUILD, native

NATIVE_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "threads": ({"threads": 4, "threads_batch": 8}, "--threads 4 --threads-batch 8"),
    "batches": ({"batch_size": 512, "ubatch_size": 256}, "--batch-size 512 --ubatch-size 256"),
    "flash attention": ({"flash_attention": "on"}, "--flash-attn on"),
    "a quantized cache": (
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        "--cache-type-k q8_0 --cache-type-v q8_0",
    ),
    "no bound on cached prompts": ({"cache_ram": -1}, "--cache-ram -1"),
    "one cache for all slots": ({"kv_unified": True}, "--kv-unified"),
    "a cache for each slot": ({"kv_unified": False}, "--no-kv-unified"),
    "a context that shifts": ({"context_shift": True}, "--context-shift"),
    "memory that is not swapped": ({"load_mode": "mmap+mlock"}, "--load-mode mmap+mlock"),
    "a NUMA host": ({"numa": "distribute"}, "--numa distribute"),
    "a stretched context": (
        {"rope_scaling": "yarn", "rope_scale": 4.0, "rope_freq_base": 1000001.0, "yarn_orig_ctx": 32768},
        "--rope-scaling yarn --rope-scale 4 --rope-freq-base 1000001 --yarn-orig-ctx 32768",
    ),
    "embeddings": ({"embeddings": True, "pooling": "mean"}, "--pooling mean --embeddings"),
    "reranking": ({"reranking": True}, "--reranking"),
    "no Jinja": ({"jinja": False}, "--no-jinja"),
    "values for the template": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        r'--chat-template-kwargs "{\"enable_thinking\": false}"',
    ),
    "thoughts": ({"reasoning_format": "none", "reasoning_budget": 0}, "--reasoning-format none --reasoning-budget 0"),
    "figures, and no slots": ({"metrics": True, "slots": False}, "--metrics --no-slots"),
    "cards": (
        {"build": CUDA_BUILD, "gpu_layers": 20, "split_mode": "row", "tensor_split": [3.0, 1.0], "main_gpu": 1},
        "--n-gpu-layers 20 --split-mode row --tensor-split 3,1 --main-gpu 1",
    ),
    "experts in main memory": ({"build": CUDA_BUILD, "n_cpu_moe": 10}, "--n-cpu-moe 10"),
    "named devices": (
        {"build": build_for("vulkan"), "gpus": Gpus(vendor="amd"), "device": ["Vulkan0", "Vulkan1"]},
        "--device Vulkan0,Vulkan1",
    ),
    "drafts without a model": (
        {"spec_type": "ngram-simple", "draft_max": 8}, "--spec-type ngram-simple --spec-draft-n-max 8"
    ),
    "anything else": ({"extra_arguments": ["--prio", "2"]}, "--no-webui --prio 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", NATIVE_ARGUMENTS)
def test_an_option_becomes_llama_servers_own(case: str) -> None:
    options, expected = NATIVE_ARGUMENTS[case]
    assert expected in command_of(native(**options))


def test_what_is_not_set_is_left_to_llama_server() -> None:
    assert command_of(native()) == (
        "/etc/ai-backend/install/llama-cpp/bin/llama-server --host 127.0.0.1 --port 8080 "
        "--model /etc/ai-backend/install/model-native.gguf-a0fab137/native.gguf "
        "--alias n --ctx-size 0 --parallel 1 --no-webui"
    )


def test_further_models_are_installed_and_named_by_their_paths() -> None:
    server = native(mmproj=other_model("eye.gguf"), lora=[other_model("a.gguf"), other_model("b.gguf")])
    command = command_of(server)
    assert re.search(r"--mmproj /etc/ai-backend/install/model-eye\.gguf-\w+/eye\.gguf", command)
    assert re.search(r"--lora /etc/\S+/a\.gguf,/etc/\S+/b\.gguf", command)
    assert sum("model-" in name for name in unit_of(server).installs) == 4


def test_a_draft_model_is_named_and_asked_for_by_its_type() -> None:
    command = command_of(native(draft_model=other_model("draft.gguf"), draft_max=8))
    assert re.search(r"--model-draft \S+/draft\.gguf --spec-type draft-simple --spec-draft-n-max 8", command)


def test_a_chat_template_becomes_part_of_the_generation_and_of_the_units_digest(tmp_path: Path) -> None:
    file = tmp_path / "chat.jinja"
    file.write_text("{{ messages }}")
    before = generation_of(native(chat_template=TextFile(str(file))))
    path = "chat-templates/llama-server@native.service.jinja"
    assert before.files[path].content == b"{{ messages }}"
    assert f"--chat-template-file /etc/ai-backend/{path}" in command_of(native(chat_template=TextFile(str(file))))
    file.write_text("{{ messages[0] }}")
    after = generation_of(native(chat_template=TextFile(str(file))))
    unit = "llama-server@native.service"
    assert before.unit_digests[unit] != after.unit_digests[unit]


def test_a_unit_that_locks_memory_may() -> None:
    assert "LimitMEMLOCK=infinity" in unit_of(native(load_mode="mlock")).text
    assert "LimitMEMLOCK" not in unit_of(native()).text
