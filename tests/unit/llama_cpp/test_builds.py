"""Builds, releases and wheels: what is installed, and from what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import Archive, BackendCheck, PythonEnvRecipe, ReleaseRecipe, SourceBuildRecipe
from roles.llama_cpp import LlamaCppRelease, PythonWheel
from roles.options import Gpus, OptionsError, TextFile, UrlFile
from roles.plan import ResolvedInstall
from tests.llama_cpp_plans import build_for, command_of, generation_of, install_of, plan_of, unit_of
from tests.stacks import native, python

RELEASE = LlamaCppRelease(url="http://198.18.0.1/llama-b1-bin-ubuntu-x64.tar.gz", sha256="c" * 64)


@pytest.mark.parametrize(
    ("backend", "cards", "others", "expected"),
    [
        pytest.param("cuda", "86;89", "90", {"GGML_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": "86;89"}, id="cuda"),
        pytest.param("hip", "gfx1100", "gfx90a", {"GGML_HIP": "ON", "GPU_TARGETS": "gfx1100"}, id="hip"),
    ],
)
def test_a_build_is_for_the_hosts_cards_and_made_anew_for_others(
    backend: Any, cards: str, others: str, expected: dict[str, str]
) -> None:
    builds = []
    for architectures in (cards, others):
        generation = generation_of(native(build=build_for(backend)), gpu=architectures)
        builds += [install for install in generation.installs if install.install.kind == "source-build"]
    first, second = builds
    assert isinstance(first.recipe, SourceBuildRecipe)
    assert expected.items() <= first.recipe.cmake_options.items()
    assert first.folder != second.folder


def test_a_build_for_named_cards_does_not_depend_on_the_hosts() -> None:
    install = install_of(native(build=build_for("cuda", cuda_architectures=["80", "86-real"])), "source-build")
    assert isinstance(install.recipe, SourceBuildRecipe)
    assert install.recipe.cmake_options["CMAKE_CUDA_ARCHITECTURES"] == "80;86-real"
    assert "gpu" not in install.platform


def _toolkit_of(options: dict[str, Any]) -> ResolvedInstall | None:
    generation = generation_of(native(build=build_for("cuda", **options)), gpu="86")
    return next((each for each in generation.installs if each.install.name.startswith("cuda-toolkit")), None)


def test_a_cuda_build_brings_its_toolkit_and_is_compiled_with_it() -> None:
    generation = generation_of(native(build=build_for("cuda")), gpu="86")
    toolkit, build = [each for each in generation.installs if each.install.name.startswith(("cuda", "llama"))]
    assert isinstance(toolkit.recipe, PythonEnvRecipe)
    assert toolkit.recipe.toolkit == "cuda"
    assert isinstance(build.recipe, SourceBuildRecipe)
    assert build.recipe.toolkit_folder == f"{toolkit.folder}/cuda"
    for package in ("nvcc", "nvvm", "crt", "runtime", "cccl", "cublas"):
        assert re.search(
            rf"^nvidia-(cuda-)?{package}==13[0-9.]+ ;.*\n    --hash=", toolkit.recipe.requirements, re.MULTILINE
        )


def test_the_python_server_of_a_cuda_build_has_the_same_toolkit() -> None:
    names = [
        install.name for install in plan_of(python(build=build_for("cuda"))).installs if "model" not in install.name
    ]
    assert names[:3] == ["cuda-toolkit-13.0", "llama-cpp-cuda", "llama-cpp-cuda-python"]


def test_another_python_of_the_host_is_no_reason_to_compile_anew() -> None:
    server = native(build=build_for("cuda"))
    first, second = (
        [each.folder for each in generation_of(server, python=version).installs if "llama" in each.install.name]
        for version in ("3.11.2", "3.11.3")
    )
    assert first == second


@pytest.mark.parametrize(
    ("given", "folder"),
    [("installed", None), ("/usr/local/cuda-12.8", "/usr/local/cuda-12.8")],
    ids=["searched for", "a folder"],
)
def test_a_toolkit_of_the_hosts_is_used_where_it_lies(given: str, folder: str | None) -> None:
    assert _toolkit_of({"cuda_toolkit": given}) is None
    recipe = install_of(native(build=build_for("cuda", cuda_toolkit=given)), "source-build").recipe
    assert isinstance(recipe, SourceBuildRecipe)
    assert (recipe.toolkit, recipe.toolkit_folder) == ("cuda", folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"cuda_architectures": ["86", "70-real"]}, 'has "70-real", and CUDA 13.0 compiles for 75', id="Volta"
        ),
        pytest.param({"cuda_toolkit": "12.8"}, 'is no CUDA toolkit: "13.0", "installed", or the folder', id="no nvcc"),
        pytest.param({"cmake_options": {"CUDAToolkit_ROOT": "/x"}}, "which is `cuda_toolkit` here", id="by CMake"),
    ],
)
def test_a_toolkit_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(message)):
        build_for("cuda", **options)


def test_old_cards_are_compiled_for_with_a_toolkit_of_the_hosts() -> None:
    build_for("cuda", cuda_architectures=["70"], cuda_toolkit="installed")


def test_a_toolkit_for_another_backend_is_refused() -> None:
    with pytest.raises(OptionsError, match='`cuda_toolkit` is for `backend="cuda"`'):
        build_for("hip", cuda_toolkit="installed")


def test_further_cmake_options_are_passed_on() -> None:
    install = install_of(native(build=build_for("cpu", cmake_options={"GGML_BLAS": "ON"})), "source-build")
    assert isinstance(install.recipe, SourceBuildRecipe)
    assert install.recipe.cmake_options["GGML_BLAS"] == "ON"


@pytest.mark.parametrize(("backend", "name"), [("cuda", "CUDA"), ("hip", "ROCm"), ("vulkan", "Vulkan")])
def test_a_build_for_cards_is_asked_for_its_backend(backend: Any, name: str) -> None:
    gpus = Gpus(vendor="amd") if backend == "vulkan" else None
    recipe = install_of(native(build=build_for(backend), gpus=gpus), "source-build").recipe
    assert isinstance(recipe, SourceBuildRecipe)
    assert recipe.backend == BackendCheck(name, libraries="bin")
    assert recipe.toolkit == backend


def test_a_vulkan_build_takes_its_compiler_and_driver_from_debian() -> None:
    packages = plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="amd"))).packages
    assert {"glslc", "libvulkan-dev", "spirv-headers", "mesa-vulkan-drivers"} <= set(packages)


def test_a_release_needs_no_compiler() -> None:
    packages = plan_of(native(build=RELEASE)).packages
    assert not {"cmake", "g++", "ccache", "ninja-build"} & set(packages)


def test_a_release_is_unpacked_without_its_top_folder_and_run_from_there() -> None:
    install = install_of(native(build=RELEASE), "release")
    assert isinstance(install.recipe, ReleaseRecipe)
    assert install.recipe.archives == (Archive(RELEASE.url, RELEASE.sha256, strip=1),)
    assert command_of(native(build=RELEASE)).startswith("/etc/ai-backend/install/llama-cpp/llama-server ")


def test_a_releases_runtime_lies_beside_its_programs() -> None:
    runtime = UrlFile(url="http://198.18.0.1/cudart.tar.gz", sha256="e" * 64)
    release = LlamaCppRelease(
        url=RELEASE.url,
        sha256=RELEASE.sha256,
        backend="cuda",
        subdirectory="build/bin",
        runtime=runtime,
    )
    recipe = install_of(native(build=release), "release").recipe
    assert isinstance(recipe, ReleaseRecipe)
    assert recipe.archives[1] == Archive(runtime.url, runtime.sha256, strip=1, into="build/bin")
    assert recipe.backend == BackendCheck("CUDA", libraries="build/bin")
    assert command_of(native(build=release)).startswith("/etc/ai-backend/install/llama-cpp/build/bin/llama-server ")


def test_a_wheel_brings_its_own_libraries_and_is_asked_for_its_backend(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("llama-cpp-python==0.3.30 --hash=sha256:00\n")
    wheel = PythonWheel(
        version="0.3.30", backend="cuda", requirements=TextFile(str(lock)), index_url="http://198.18.0.1/whl/cu124"
    )
    server = python(build=wheel)
    (environment,) = [install for install in plan_of(server).installs if install.name == "llama-cpp-python"]
    recipe = environment.recipe
    assert isinstance(recipe, PythonEnvRecipe)
    assert recipe.indexes == ("--default-index", "http://198.18.0.1/whl/cu124")
    assert recipe.backend == BackendCheck("CUDA", libraries="lib/python3.*/site-packages/llama_cpp/lib")
    assert "source-build" not in {install.kind for install in plan_of(server).installs}
    assert "LLAMA_CPP_LIB_PATH" not in unit_of(server).text
