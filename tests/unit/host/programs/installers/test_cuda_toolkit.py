"""Making a CUDA toolkit of its Python packages: with folders as those have them, and this machine's own C compiler."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from roles.host.programs.installers.cuda_toolkit import complete_cuda

HEADER = """
#define cuMemAlloc cuMemAlloc_v2
CUresult CUDAAPI cuInit(unsigned int Flags);
CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with packages of the toolkit, at another path than it was made at."""
    made = tmp_path / "made"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    (packages,) = made.glob("lib/python3.*/site-packages")
    toolkit = packages / "nvidia/cu13"
    for name in ("bin/nvcc", "lib/libcudart.so.13", "lib/libcublasLt.so.13", "lib/libnvvm.so"):
        (toolkit / name).parent.mkdir(parents=True, exist_ok=True)
        (toolkit / name).touch()
    (toolkit / "include").mkdir()
    (toolkit / "include/cuda.h").write_text(HEADER)
    complete_cuda(made, "CUDA toolkit", None)
    return made.rename(tmp_path / "moved")


def test_it_has_what_a_linker_looks_for(environment: Path) -> None:
    assert (environment / "cuda/bin/nvcc").exists()
    names = {path.name: str(path.readlink()) for path in (environment / "cuda/lib64").iterdir() if path.is_symlink()}
    assert names == {"libcudart.so": "libcudart.so.13", "libcublasLt.so": "libcublasLt.so.13"}


def test_its_stand_in_for_the_driver_has_all_functions_and_finds_no_card(environment: Path) -> None:
    stubs = environment / "cuda/lib64/stubs"
    library = ctypes.CDLL(str(stubs / "libcuda.so.1"))
    assert [library.cuInit(0), library.cuMemAlloc(0), library.cuMemAlloc_v2(0)] == [100, 100, 100]
    said = subprocess.run(["readelf", "-d", stubs / "libcuda.so"], capture_output=True, text=True, check=True).stdout
    assert "Library soname: [libcuda.so.1]" in said, "a program that is linked to it asks for the driver's own"
