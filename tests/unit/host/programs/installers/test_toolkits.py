"""Finding the compilers for cards that an administrator has installed, by programs on PATH that answer as they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.host.programs.console import HostError
from roles.host.programs.installers import toolkits
from roles.host.programs.installers.toolkits import find_toolkit, toolkit_versions


@pytest.fixture
def program_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, `bin` of a toolkit."""
    folder = tmp_path / "toolkit" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("AI_BACKEND_CALLERS_PATH", str(folder))
    monkeypatch.setattr(toolkits, "CUDA_FOLDER", str(tmp_path / "usual"))
    monkeypatch.setattr(toolkits, "ROCM_FOLDER", str(tmp_path / "usual"))
    return folder


def has_program(folder: Path, name: str, script: str = "") -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_a_build_without_cards_needs_none(program_folder: Path) -> None:
    assert find_toolkit(None, "llama.cpp").environment == {}


@pytest.mark.parametrize(
    ("name", "program", "fix"),
    [
        pytest.param(
            "cuda",
            "nvcc",
            "install the CUDA toolkit, no newer than the CUDA version that `nvidia-smi` shows",
            id="cuda",
        ),
        pytest.param("hip", "hipconfig", "install AMD's ROCm, 6.1 or newer", id="hip"),
    ],
)
def test_a_missing_one_is_told_in_one_line(program_folder: Path, name: str, program: str, fix: str) -> None:
    with pytest.raises(HostError) as error:
        find_toolkit(name, "llama.cpp from x for cards")
    message = str(error.value)
    assert message.startswith(f"llama.cpp from x for cards: there is no {program} on PATH or in ")
    assert fix in message
    assert "\n" not in message


def test_nvcc_is_named_and_its_libraries_are_found(program_folder: Path) -> None:
    nvcc = has_program(program_folder, "nvcc")
    libraries = program_folder.parent / "lib64"
    libraries.mkdir()
    found = find_toolkit("cuda", "llama.cpp")
    assert found.environment["CUDACXX"] == str(nvcc)
    assert found.environment["CUDAToolkit_ROOT"] == str(program_folder.parent)
    assert found.libraries == libraries


def test_one_that_is_not_on_path_is_found_in_its_usual_folder(program_folder: Path) -> None:
    usual = program_folder.parents[1] / "usual"
    usual.mkdir()
    nvcc = has_program(usual, "nvcc")
    assert find_toolkit("cuda", "llama.cpp").environment["CUDACXX"] == str(nvcc)


def test_a_given_one_is_taken_instead_of_that_on_path(program_folder: Path, tmp_path: Path) -> None:
    has_program(program_folder, "nvcc")
    (tmp_path / "packages/bin").mkdir(parents=True)
    nvcc = has_program(tmp_path / "packages/bin", "nvcc")
    (tmp_path / "install").mkdir()
    (tmp_path / "install/cuda").symlink_to("../packages")
    found = find_toolkit("cuda", "llama.cpp", str(tmp_path / "install/cuda"))
    assert found.environment["CUDACXX"] == str(nvcc), "nvcc finds its parts from where it really lies"


def test_a_given_one_without_its_compiler_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^llama\.cpp: there is no bin/nvcc in \S+/nothing: fix `cuda_toolkit`"):
        find_toolkit("cuda", "llama.cpp", str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("known", "there", "expected"),
    [
        pytest.param("", True, True, id="no driver"),
        pytest.param("libcuda.so.1 (libc6,x86-64) => /lib/libcuda.so.1", True, False, id="a driver"),
        pytest.param("", False, False, id="a toolkit without a stand-in"),
    ],
)
def test_the_stand_in_for_the_driver_is_for_hosts_without_one(
    program_folder: Path, monkeypatch: pytest.MonkeyPatch, known: str, there: bool, expected: bool
) -> None:
    has_program(program_folder, "nvcc")
    stubs = program_folder.parent / "lib64/stubs"
    stubs.mkdir(parents=True)
    if there:
        (stubs / "libcuda.so.1").touch()
    ldconfig = has_program(program_folder, "ldconfig", f"echo '{known}'")
    monkeypatch.setattr(toolkits, "LDCONFIG", str(ldconfig))
    assert find_toolkit("cuda", "llama.cpp").without_driver == ({"LD_LIBRARY_PATH": str(stubs)} if expected else {})


def test_a_distributions_nvcc_needs_no_folder_of_libraries(program_folder: Path) -> None:
    has_program(program_folder, "nvcc")
    assert find_toolkit("cuda", "llama.cpp").libraries is None


def test_rocm_is_asked_where_it_lies(program_folder: Path) -> None:
    root = program_folder.parent
    (root / "lib").mkdir()
    script = f"case $1 in --rocmpath) echo {root} ;; --hipclangpath) echo {root}/llvm/bin ;; esac"
    has_program(program_folder, "hipconfig", script)
    found = find_toolkit("hip", "llama.cpp")
    assert found.environment == {"HIPCXX": f"{root}/llvm/bin/clang", "HIP_PATH": str(root), "ROCM_PATH": str(root)}
    assert found.libraries == root / "lib"


def has_vulkan_headers(folder: Path, monkeypatch: pytest.MonkeyPatch, minor: int, patch: int) -> None:
    """As Khronos writes them."""
    file = folder / "vulkan_core.h"
    file.write_text(
        f"// Version of this file\n#define VK_HEADER_VERSION {patch}\n\n// Complete version of this file\n"
        f"#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, {minor}, VK_HEADER_VERSION)\n"
    )
    monkeypatch.setattr(toolkits, "VULKAN_HEADERS", file)


def test_vulkan_headers_that_are_too_old_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_vulkan_headers(tmp_path, monkeypatch, 3, 239)
    with pytest.raises(HostError, match=r"Vulkan headers are 1\.3\.239, and 1\.3\.275 or newer .* take a release"):
        find_toolkit("vulkan", "llama.cpp")


@pytest.mark.parametrize(("minor", "patch"), [(3, 275), (4, 100)])
def test_newer_vulkan_headers_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minor: int, patch: int
) -> None:
    has_vulkan_headers(tmp_path, monkeypatch, minor, patch)
    find_toolkit("vulkan", "llama.cpp")


_SAID = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.2, V12.2.140"


def test_versions_of_those_that_are_there_are_read(program_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cuda-11.8/bin"
    folder.mkdir(parents=True)
    has_program(folder, "nvcc", "echo Cuda compilation tools, release 11.8, V11.8.89")
    wanted = ["", str(folder.parent), "/nowhere"]
    assert toolkit_versions(wanted) == {str(folder.parent): "11.8"}
    has_program(program_folder, "nvcc", f"echo '{_SAID}'")
    assert toolkit_versions(wanted) == {"": "12.2", str(folder.parent): "11.8"}


def test_one_that_says_no_version_is_none(program_folder: Path) -> None:
    has_program(program_folder, "nvcc", "echo nvcc: cannot run; exit 1")
    assert toolkit_versions([""]) == {}
