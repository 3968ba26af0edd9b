"""The memory plan against llama.cpp's own words: what the real `llama-server` says that it allocates.

It needs no host: the lab's build runs on this machine, on its processor. The models have the shapes of known ones, and
their weights are holes.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roles.fit.file import facts_of_file
from roles.fit.llama_cpp import Settings, compute_buffer, needs
from roles.llama_cpp import LlamaServer
from roles.llama_cpp.memory import loads_of_server
from roles.options import LocalFile
from tests.hollow_models import Hollow, write_hollow
from tests.lab.inventory import LLAMA_CPP
from tests.lab.llama_cpp import llama_cpp_bin
from tests.labhost import Lab
from tests.llama_server_log import allocated
from tests.ports import free_port

MIB = 1 << 20
_LATENT = {
    "attention.kv_lora_rank": 512, "rope.dimension_count": 64, "attention.q_lora_rank": 256,
    "attention.key_length_mla": 192, "attention.value_length_mla": 128, "leading_dense_block_count": 4,
    "expert_feed_forward_length": 128, "expert_shared_count": 1,
}  # fmt: skip
_WINDOW = {"attention.sliding_window": 512}


@dataclass(frozen=True)
class Case:
    model: Hollow
    settings: Settings


CASES = {
    "llama, GQA": Case(Hollow(), Settings(8192)),
    "llama, MHA": Case(Hollow(key_value_heads=8), Settings(4096, parallel=2)),
    "llama, 8B's layers": Case(
        Hollow(width=4096, layers=2, heads=32, key_value_heads=8, feed_forward=14336, vocabulary=128_256),
        Settings(16384, parallel=2),
    ),
    "llama, one cache for all": Case(Hollow(), Settings(8192, parallel=4, unified=True)),
    "llama, without flash attention": Case(Hollow(key_value_heads=8), Settings(4096, flash_attention=False)),
    "llama, many slots": Case(Hollow(tied=True, vocabulary=128_000, feed_forward=32), Settings(512, parallel=64)),
    "llama, larger batches": Case(Hollow(), Settings(8192, batch=1024)),
    "qwen2, odd context": Case(Hollow("qwen2", tied=True), Settings(5000, parallel=3)),
    "qwen2, 1.5B's layers, q4_0": Case(
        Hollow("qwen2", width=1536, layers=2, heads=12, feed_forward=8960, vocabulary=151_936, tied=True),
        Settings(8192, key_type="q4_0", value_type="q4_0"),
    ),
    "qwen2, embeddings": Case(Hollow("qwen2", tied=True), Settings(2048, embeddings=True)),
    "qwen3, q8_0": Case(
        Hollow("qwen3", heads=16, key_length=128), Settings(5000, parallel=2, key_type="q8_0", value_type="q8_0")
    ),
    "gemma2, windows": Case(Hollow("gemma2", tied=True, further=_WINDOW), Settings(8192, parallel=2)),
    "gemma3, windows, one cache": Case(
        Hollow("gemma3", layers=12, tied=True, further=_WINDOW), Settings(16384, parallel=4, unified=True)
    ),
    "cohere2, windows": Case(
        Hollow("cohere2", layers=8, tied=True, further={**_WINDOW, "logit_scale": 1.0}), Settings(8192)
    ),
    "mixtral": Case(
        Hollow(experts=8, experts_used=2), Settings(4096, key_type="q4_0", value_type="q4_0")
    ),
    "qwen3moe": Case(
        Hollow("qwen3moe", experts=16, experts_used=4, key_length=128, feed_forward=768), Settings(4096)
    ),
    "deepseek2, latent attention": Case(
        Hollow("deepseek2", key_value_heads=1, key_length=576, value_length=512, further=_LATENT), Settings(4096)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_plan_is_what_llama_server_allocates(lab: Lab, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = write_hollow(tmp_path / "model.gguf", case.model)
    facts = facts_of_file(path)
    log = _log(llama_cpp_bin(lab, LLAMA_CPP) / "llama-server", path, case.settings)
    assert facts.known
    need = needs(facts, case.settings, with_card=False).main
    assert need.weights / MIB == pytest.approx(allocated(log, "model"), rel=0.02)
    assert need.cache / MIB == pytest.approx(allocated(log, "KV"), rel=0.02)
    assert compute_buffer(facts, case.settings) / MIB == pytest.approx(allocated(log, "compute"), rel=0.15)


@pytest.mark.parametrize(
    "options",
    [
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"flash_attention": "off"},
        {"ubatch_size": 1024, "kv_unified": True},
    ],
    ids=["types of the cache", "without flash attention", "larger batches, one cache"],
)
def test_a_draft_model_is_planned_as_its_server_loads_it(lab: Lab, tmp_path: Path, options: dict[str, Any]) -> None:
    shapes = {"model": Hollow(layers=6), "draft_model": Hollow(layers=2, width=256)}
    paths = [write_hollow(tmp_path / f"{name}.gguf", shape) for name, shape in shapes.items()]
    models: dict[str, Any] = {
        name: LocalFile(path=str(path), sha256="0" * 64) for name, path in zip(shapes, paths, strict=True)
    }
    server = LlamaServer(
        name="native", port=8080, build=LLAMA_CPP, served_name="m", context_size=4096, parallel=2, **models, **options
    )
    settings = [load.settings for load in loads_of_server(server) if isinstance(load.settings, Settings)]
    log = _log(llama_cpp_bin(lab, LLAMA_CPP) / "llama-server", paths[0], settings[0],
               "--model-draft", str(paths[1]), "--spec-type", "draft-simple")  # fmt: skip
    facts = [facts_of_file(path) for path in paths]
    planned = [needs(model, its, with_card=False).main for model, its in zip(facts, settings, strict=True)]
    buffers = [compute_buffer(model, its) for model, its in zip(facts, settings, strict=True)]
    assert sum(need.weights for need in planned) / MIB == pytest.approx(allocated(log, "model"), rel=0.02)
    assert sum(need.cache for need in planned) / MIB == pytest.approx(allocated(log, "KV"), rel=0.02)
    assert sum(buffers) / MIB == pytest.approx(allocated(log, "compute"), rel=0.15)


def _log(server: Path, model: Path, settings: Settings, *more: str) -> str:
    """What it logs until its model is loaded."""
    command = [server, "-m", model, "--host", "127.0.0.1", "--port", str(free_port()), "-lv", "4", "--no-warmup",
               "-fit", "off", "-c", settings.context, "-np", settings.parallel, "-ub", settings.batch,
               "-ctk", settings.key_type, "-ctv", settings.value_type,
               "-fa", "on" if settings.flash_attention else "off",
               "-kvu" if settings.unified else "-no-kvu",
               *(["--embeddings", "--pooling", "last"] if settings.embeddings else []), *more]  # fmt: skip
    environment = {**os.environ, "LD_LIBRARY_PATH": str(server.parent)}
    lines: list[str] = []
    with subprocess.Popen(
        [str(argument) for argument in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    ) as running:  # fmt: skip
        watchdog = threading.Timer(60, running.kill)
        watchdog.start()
        try:
            assert running.stdout is not None
            for line in running.stdout:
                lines.append(line)
                if "model loaded" in line or "error" in line:
                    break
        finally:
            watchdog.cancel()
            running.kill()
    assert "model loaded" in lines[-1], "".join(lines[-20:])
    return "".join(lines)
