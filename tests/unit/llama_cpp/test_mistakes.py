"""Options that can never work are refused in one line, with what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaCppRelease
from roles.options import Gpus, OptionsError, PythonSdist
from tests.llama_cpp_plans import CARD, TWO_MODELS, build_for, several
from tests.stacks import BUILD, CUDA_BUILD, MODEL, native, python

MISTAKES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "cards for a CPU build": (
        lambda: native(gpus=Gpus()),
        ["`gpus` is given, and a CPU build cannot use them", 'give the build `backend="cuda"`', "or remove `gpus`"],
    ),
    "cards for a Python server of a CPU build": (lambda: python(gpus=Gpus()), ["a CPU build cannot use them"]),
    "layers on a card that a CPU build does not see": (
        lambda: native(gpu_layers=10),
        ["`gpu_layers` is for a GPU build, and this is a CPU build", 'give the build `backend="cuda"`'],
    ),
    "layers on a card, Python": (lambda: python(gpu_layers=-1), ["`gpu_layers` is for a GPU build"]),
    "AMD cards for CUDA": (
        lambda: native(build=CUDA_BUILD, gpus=Gpus(vendor="amd")),
        ['runs on cards of vendor "nvidia", not "amd"', "fix `gpus`"],
    ),
    "Vulkan on nobody's cards": (
        lambda: native(build=build_for("vulkan")),
        ["say which with `gpus=Gpus(vendor="],
    ),
    "Vulkan by UUID": (
        lambda: native(build=build_for("vulkan"), gpus=Gpus(uuids=[CARD])),
        ["Vulkan does not know cards by UUID", "name them with `device`"],
    ),
    "architectures of another backend": (
        lambda: build_for("hip", cuda_architectures=["86"]),
        ['`cuda_architectures` is for `backend="cuda"`', "remove it, or change `backend`"],
    ),
    "a backend by CMake": (
        lambda: build_for("cpu", cmake_options={"GGML_CUDA": "ON"}),
        ["`cmake_options` sets GGML_CUDA, which is `backend` here"],
    ),
    "no shared libraries": (
        lambda: build_for("cpu", cmake_options={"BUILD_SHARED_LIBS": "OFF"}),
        ["BUILD_SHARED_LIBS", "remove it"],
    ),
    "a release that is a zip": (
        lambda: LlamaCppRelease(url="http://x/llama-b1-bin-ubuntu-x64.zip", sha256="a" * 64),
        ["llama-b1-bin-ubuntu-x64.zip is no tar archive", "take a newer release"],
    ),
    "a key on the command line": (
        lambda: native(extra_arguments=["--api-key", "sk-1"]),
        ["`--api-key` is the option `api_key` here; use that"],
    ),
    "a port on the command line": (lambda: native(extra_arguments=["--port=1"]), ["`--port` is the option `port`"]),
    "a draft of nothing": (lambda: native(draft_max=3), ["`draft_max` is given, and nothing drafts"]),
    "embeddings and reranking": (lambda: native(embeddings=True, reranking=True), ["exclude each other"]),
    "a quantized cache without flash attention": (
        lambda: native(cache_type_v="q8_0", flash_attention="off"),
        ['`cache_type_v="q8_0"` needs flash attention', 'set `flash_attention="on"`'],
    ),
    "a quantized cache without flash attention, Python": (
        lambda: python(cache_type_v="q8_0"),
        ["set `flash_attention=True`"],
    ),
    "no model at all": (
        lambda: LlamaCppPython(name="python", port=8000, build=BUILD),
        ["`model` is missing; give `model` and `served_name`, or several `models`"],
    ),
    "one model and several": (
        lambda: several(context_size=4096),
        ["`context_size` is for a single model; give it in `models`"],
    ),
    "two models of one name": (
        lambda: several(models=[TWO_MODELS[0], TWO_MODELS[0]]),
        ['model "first" is there twice', "another `served_name`"],
    ),
    "bindings of another version": (
        lambda: python(
            build=LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.1", sha256="a" * 64))
        ),
        ["its bindings are those of llama-cpp-python 0.3.36", "that of 0.3.1", "or a PythonWheel"],
    ),
    "a picture model without a format": (lambda: python(mmproj=MODEL), ["`mmproj` is used by a `chat_format` only"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_fix(case: str) -> None:
    make, words = MISTAKES[case]
    with pytest.raises(OptionsError) as error:
        make()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
