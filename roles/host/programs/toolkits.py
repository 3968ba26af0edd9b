"""Compilers for graphics cards: the administrator installs them, fit for the driver; here they are found."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from roles.host.programs.console import HostError
from roles.host.programs.processes import run

CUDA_FOLDER = "/usr/local/cuda/bin"
"""Where NVIDIA's packages put it, which is on nobody's PATH."""
ROCM_FOLDER = "/opt/rocm/bin"


@dataclass(frozen=True)
class Toolkit:
    """environment: variables that lead CMake to it; libraries: folder of those that programs made with it load."""

    environment: dict[str, str] = field(default_factory=dict)
    libraries: Path | None = None


def find_toolkit(name: str | None, title: str) -> Toolkit:
    """The toolkit that a build needs; none = it needs none.

    Args:
        name: `cuda` or `hip`.

    Raises:
        HostError: the host does not have it.
    """
    match name:
        case "cuda":
            nvcc = _find("nvcc", CUDA_FOLDER, title, _CUDA_MISSING)
            return Toolkit({"CUDACXX": str(nvcc)}, _folder(nvcc.parent.parent / "lib64"))
        case "hip":
            hipconfig = _find("hipconfig", ROCM_FOLDER, title, _ROCM_MISSING)
            root, clang = (_said(hipconfig, option, title) for option in ("--rocmpath", "--hipclangpath"))
            environment = {"HIPCXX": f"{clang}/clang", "HIP_PATH": root, "ROCM_PATH": root}
            return Toolkit(environment, _folder(Path(root, "lib")))
    return Toolkit()


_CUDA_MISSING = (
    "install the CUDA toolkit, no newer than the CUDA version that `nvidia-smi` shows (NVIDIA's packages: "
    "cuda-toolkit-<version>; Debian's, in its section non-free: nvidia-cuda-toolkit)"
)
_ROCM_MISSING = "install AMD's ROCm, 6.1 or newer, with its HIP SDK and hipBLAS (Debian 12 and 13 have older ones)"


def _find(program: str, usual_folder: str, title: str, mend: str) -> Path:
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{usual_folder}"
    found = shutil.which(program, path=path)
    if found is None:
        raise HostError(f"{title}: there is no {program} on PATH or in {usual_folder}: {mend}; or take a release")
    return Path(found)


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _said(program: Path, option: str, title: str) -> str:
    said: list[str] = []
    run([str(program), option], what=f"{title}: asking {program}", on_line=said.append)
    return "".join(said)
