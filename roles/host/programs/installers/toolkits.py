"""Finds the compilers for graphics cards: an install of ours, or what the host's administrator has installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roles.host.programs.console import HostError
from roles.host.programs.processes import run

CUDA_FOLDER = "/usr/local/cuda/bin"
"""Where NVIDIA's packages install it, which is on no default PATH."""
DRIVER_LIBRARY = "libcuda.so.1"
LDCONFIG = "/sbin/ldconfig"
ROCM_FOLDER = "/opt/rocm/bin"
VULKAN_HEADERS = Path("/usr/include/vulkan/vulkan_core.h")
"""Where Debian's libvulkan-dev installs them."""


@dataclass(frozen=True)
class Toolkit:
    """What leads CMake to a toolkit.

    Attributes:
        environment: variables for it.
        libraries: folder with the libraries that its programs load.
        without_driver: variables with which its programs are linked and start on a host without a driver: they need a
            stand-in for the driver's library, which says that there is no card.
    """

    environment: dict[str, str] = field(default_factory=dict)
    libraries: Path | None = None
    without_driver: dict[str, str] = field(default_factory=dict)


def find_toolkit(name: str | None, title: str, given: str | None = None) -> Toolkit:
    """The toolkit that a build needs; none = it needs none.

    Args:
        name: `cuda`, `hip` or `vulkan`.
        given: the folder of the one to use, for `cuda`; none = it is searched for.

    Raises:
        HostError: the host does not have it, or its version is too old.
    """
    match name:
        case "cuda":
            return _cuda(title, given)
        case "hip":
            hipconfig = _find("hipconfig", ROCM_FOLDER, title, _ROCM_MISSING)
            root, clang = (_said(hipconfig, option, title) for option in ("--rocmpath", "--hipclangpath"))
            environment = {"HIPCXX": f"{clang}/clang", "HIP_PATH": root, "ROCM_PATH": root}
            return Toolkit(environment, _folder(Path(root, "lib")))
        case "vulkan":
            _check_vulkan_headers(title)
    return Toolkit()


def toolkit_versions(wanted: Sequence[str]) -> dict[str, str]:
    """The versions of the CUDA toolkits among these that are there: folders, and empty for the one that is searched
    for."""
    found = {
        name: _version_of(f"{name}/bin/nvcc" if name else shutil.which("nvcc", path=_searched(CUDA_FOLDER)))
        for name in wanted
    }
    return {name: version for name, version in found.items() if version}


def _version_of(nvcc: str | None) -> str | None:
    """From `Cuda compilation tools, release 12.2, V12.2.140`."""
    if nvcc is None:
        return None
    try:
        said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    match = re.search(r"\brelease (\d+\.\d+)", said)
    return match[1] if match else None


def _cuda(title: str, given: str | None) -> Toolkit:
    if given is None:
        nvcc = _find("nvcc", CUDA_FOLDER, title, _CUDA_MISSING)
    else:
        # nvcc finds its other parts from where it really lies.
        nvcc = Path(given, "bin/nvcc").resolve()
        if not nvcc.exists():
            raise HostError(f"{title}: there is no bin/nvcc in {given}: fix `cuda_toolkit`, or leave it out")
    root = nvcc.parent.parent
    environment = {
        "CUDACXX": str(nvcc),
        "CUDAToolkit_ROOT": str(root),
        # ccache knows a compiler by its time, and the same nvcc is unpacked anew on each host.
        "CMAKE_CUDA_COMPILER_LAUNCHER": "env;CCACHE_COMPILERCHECK=content;ccache",
    }
    return Toolkit(environment, _folder(root / "lib64"), _without_driver(root / "lib64/stubs"))


def _without_driver(stubs: Path) -> dict[str, str]:
    """See `Toolkit.without_driver`; empty with a driver's own library, or if the toolkit has no stand-in for it."""
    known = subprocess.run([LDCONFIG, "-p"], capture_output=True, text=True, check=False).stdout
    if DRIVER_LIBRARY in known or not (stubs / DRIVER_LIBRARY).exists():
        return {}
    return {"LD_LIBRARY_PATH": str(stubs)}


_CUDA_MISSING = (
    "install the CUDA toolkit, no newer than the CUDA version that `nvidia-smi` shows (NVIDIA's packages: "
    "cuda-toolkit-<version>; Debian's, in its section non-free: nvidia-cuda-toolkit)"
)
_ROCM_MISSING = "install AMD's ROCm, 6.1 or newer, with its HIP SDK and hipBLAS (Debian 12 and 13 have older ones)"


_OLDEST_VULKAN = (1, 3, 275)
"""The oldest headers that llama.cpp's own tests build with: those of Ubuntu 24.04. With those of Debian 12, 1.3.239,
the build fails after minutes of compiling."""


def _check_vulkan_headers(title: str) -> None:
    text = VULKAN_HEADERS.read_text()
    version = re.search(r"VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(0, (\d+), (\d+),", text)
    patch = re.search(r"#define VK_HEADER_VERSION (\d+)", text)
    found = tuple(int(number) for match in (version, patch) if match for number in match.groups())
    if found < _OLDEST_VULKAN:
        raise HostError(
            f"{title}: the host's Vulkan headers are {_dotted(found)}, and {_dotted(_OLDEST_VULKAN)} or newer are "
            "needed, as Debian 13 and Ubuntu 24.04 have them: upgrade the host, or take a release"
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _find(program: str, usual_folder: str, title: str, fix: str) -> Path:
    found = shutil.which(program, path=_searched(usual_folder))
    if found is None:
        raise HostError(f"{title}: there is no {program} on PATH or in {usual_folder}: {fix}; or take a release")
    return Path(found)


def _searched(usual_folder: str) -> str:
    """Where compilers are looked up: they run as the build user, and are found on the administrator's PATH."""
    return f"{os.environ.get('AI_BACKEND_CALLERS_PATH', os.defpath)}{os.pathsep}{usual_folder}"


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _said(program: Path, option: str, title: str) -> str:
    said: list[str] = []
    run([str(program), option], what=f"{title}: asking {program}", on_line=said.append)
    return "".join(said)
