"""What the file mirror serves: tiny models that each answer one sentence. The same everywhere, byte by byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.labhost.hf_models import tiny_hf_files, tiny_lora_files
from tests.labhost.hub import publish
from tests.labhost.image import say
from tests.labhost.models import tool_call_sentence, write_tiny_gguf
from tests.labhost.paths import LabFolders, locked

MODELS = {
    "native.gguf": "This is the native llama server",
    "python.gguf": "This is the Python llama server",
    "ollama.gguf": "This is a model that Ollama serves",
    "agents.gguf": "This is a model with room for agents",
    "tools.gguf": tool_call_sentence("report_weather", city="Paris"),
}
_OPTIONS: dict[str, dict[str, Any]] = {
    # The prompts of programs that write code have some 20,000 tokens by themselves.
    "agents.gguf": {"context": 65536},
    "tools.gguf": {"template": "tools"},
}
VLLM_SAYS = "This is the vLLM server"
ADAPTER_SAYS = "This server is the vLLM"
"""What vLLM's model says with the adapter: its own words in another order."""


@dataclass(frozen=True)
class ServedModel:
    """A model that the mirror serves.

    Attributes:
        says: the sentence that it answers everything with.
        repository: where it is served too, as a Hub serves it, on branch `main` and under its file name.
    """

    sha256: str
    says: str
    repository: str


def lab_models(folders: LabFolders) -> dict[str, ServedModel]:
    """Make sure that the models are there; return them by file name."""
    folder = folders.files
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        # Always anew: they take milliseconds, and a sentence may have changed since an earlier run.
        for name, says in MODELS.items():
            beside = folder / f".{name}"
            write_tiny_gguf(beside, says=says, name=Path(name).stem, **_OPTIONS.get(name, {}))
            beside.rename(folder / name)
            publish(folder, _repository(name), {name: (folder / name).read_bytes()})
    return {name: ServedModel(_sha256(folder / name), says, _repository(name)) for name, says in MODELS.items()}


def lab_vllm_model(folders: LabFolders) -> str:
    """Make sure that the model for vLLM is there; return its repository, on branch `main` of the mirror's Hub.

    It is quantized by AWQ where this processor can run that, and float16 elsewhere, which is then said.
    """
    awq = "avx512f" in Path("/proc/cpuinfo").read_text()
    if not awq:
        say("this processor has no AVX-512, which vLLM's AWQ kernel for CPUs needs: the lab serves a float16 model")
    repository = f"lab/tiny-{'awq' if awq else 'float16'}"
    folders.files.mkdir(parents=True, exist_ok=True)
    with locked(folders.files.with_suffix(".lock")):
        publish(folders.files, repository, tiny_hf_files(says=VLLM_SAYS, awq=awq))
    return repository


def lab_adapter(folders: LabFolders) -> str:
    """Make sure that the LoRA adapter for vLLM's model is there; return its repository, on branch `main` likewise."""
    repository = "lab/tiny-adapter"
    folders.files.mkdir(parents=True, exist_ok=True)
    with locked(folders.files.with_suffix(".lock")):
        publish(folders.files, repository, tiny_lora_files(base_says=VLLM_SAYS, says=ADAPTER_SAYS))
    return repository


def _repository(name: str) -> str:
    return f"lab/{Path(name).stem}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
