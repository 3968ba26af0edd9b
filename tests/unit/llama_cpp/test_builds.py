"""Builds, releases and wheels: what is installed, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import Archive, BackendCheck, PythonEnvRecipe, ReleaseRecipe, SourceBuildRecipe
from roles.llama_cpp import LlamaCppRelease, PythonWheel
from roles.options import Gpus, TextFile, UrlFile
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
