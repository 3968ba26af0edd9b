"""Options of llama.cpp's installs: a build, a release, or a wheel; and which cards each can use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from roles.options import FileUrl, Gpus, Many, Name, Options, RelativePath, SourceTree, TextFile, Url, UrlFile, spelled

Backend = Literal["cpu", "cuda", "vulkan", "hip"]
CudaArchitecture = Annotated[
    str, spelled("[0-9]+[af]?(-real|-virtual)?", 'compute capability without its dot, such as "86"')
]
CudaToolkit = Annotated[
    str,
    spelled(
        r"13\.0|installed|(/[A-Za-z0-9._+-]+)+",
        'CUDA toolkit: "13.0", "installed", or the folder of one on the host, such as "/usr/local/cuda-12.8"',
    ),
]
HipTarget = Annotated[str, spelled("gfx[0-9a-f]+(-[a-z]+)*", 'target of HIP, such as "gfx1100"')]
CmakeOption = Annotated[
    str, spelled("[A-Za-z_][A-Za-z0-9_]*", 'CMake option without "-D", such as "GGML_CUDA_FORCE_MMQ"')
]
WheelVersion = Annotated[str, spelled("[0-9][0-9a-z.+]*", 'exact version, such as "0.3.36"')]

CMAKE_SWITCHES: Mapping[Backend, str] = {"cuda": "GGML_CUDA", "vulkan": "GGML_VULKAN", "hip": "GGML_HIP"}
"""The CMake option that enables a backend."""

DEVICES: Mapping[Backend, str] = {"cuda": "CUDA", "vulkan": "Vulkan", "hip": "ROCm"}
"""llama.cpp's name of a backend, which also is the prefix of its devices' names."""

OTHER_BUILD = 'give the build `backend="cuda"`, "hip" or "vulkan"'
"""The advice when a CPU build gets options that only other builds support."""


@dataclass(frozen=True)
class PackagedToolkit:
    """A CUDA toolkit that comes as Python packages.

    Attributes:
        version: of the package `cuda-toolkit`, to which its lock pins it.
        driver: the oldest driver that runs what it compiles.
        capability: the lowest compute capability that it compiles for.
    """

    version: str
    driver: str
    capability: str


# CUDA's release notes: each 13.x runs what 13.0 has compiled, and cards before Turing ended with 12.9. The packages of
# 12.x have no nvcc, only what it calls.
CUDA_TOOLKITS: Mapping[str, PackagedToolkit] = {"13.0": PackagedToolkit("13.0.3.0", driver="580", capability="7.5")}
"""Those that a build can be compiled with, by the names that `cuda_toolkit` gives them."""

_VENDORS: Mapping[Backend, Literal["nvidia", "amd"]] = {"cuda": "nvidia", "hip": "amd"}
_OWN_CMAKE_OPTIONS = {
    **dict.fromkeys(CMAKE_SWITCHES.values(), "backend"),
    "GGML_NATIVE": "native",
    "CMAKE_CUDA_ARCHITECTURES": "cuda_architectures",
    "CMAKE_CUDA_COMPILER": "cuda_toolkit",
    "CUDAToolkit_ROOT": "cuda_toolkit",
    "GPU_TARGETS": "hip_targets",
}
_OTHER_SYSTEMS = {"macos": "macOS", "win": "Windows", "xcframework": "Apple's systems", "android": "Android"}
_OTHER_BACKENDS = {
    "sycl": "Intel's cards (SYCL)",
    "openvino": "OpenVINO",
    "opencl": "OpenCL",
    "musa": "cards of Moore Threads",
    "kompute": "Kompute",
    "openeuler": "openEuler",
    "310p": "Ascend's cards",
    "910b": "Ascend's cards",
}
_MACHINES = {"x64": "x86_64", "arm64": "aarch64", "s390x": "s390x"}
_NAMED_BACKENDS: Mapping[str, Backend] = {"cpu": "cpu", "cuda": "cuda", "vulkan": "vulkan", "hip": "hip", "rocm": "hip"}
_ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar.zst")


class LlamaCppBuild(Options):
    """A build of llama.cpp from source. Servers that name the same build share it."""

    former: ClassVar[Mapping[str, str]] = {
        "jobs": "remove it; as many compilers run as the host's processors and memory allow"
    }

    name: Name = Field("llama-cpp", examples=['name="llama-cpp-cuda"'])
    """Name of the build; give two different builds on one host different names."""
    source: SourceTree = Field(
        examples=[
            'source=PythonSdist(package="llama-cpp-python", version="0.3.36", '
            'sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e", '
            'subdirectory="vendor/llama.cpp")'
        ]
    )
    """The source tree."""
    backend: Backend = Field("cpu", examples=['backend="cuda"'])
    """What it computes on. The administrator installs ROCm."""
    native: bool = Field(True, examples=["native=False"])
    """Compile for exactly this host's processor. Off: for any processor of its kind."""
    cuda_architectures: Many[CudaArchitecture] = Field((), examples=['cuda_architectures=["86"]'])
    """Compute capabilities for a CUDA build, e.g. `86`; none = those of the host's cards."""
    cuda_toolkit: CudaToolkit = Field("13.0", examples=['cuda_toolkit="/usr/local/cuda-12.8"'])
    """The CUDA toolkit that compiles a CUDA build: `13.0`, installed for it from Python packages, for drivers from 580
    and cards from compute capability 7.5 on; `installed`, on PATH or in `/usr/local/cuda`; or the folder of one."""
    hip_targets: Many[HipTarget] = Field((), examples=['hip_targets=["gfx1100"]'])
    """Targets for a HIP build, e.g. `gfx1100`; none = those of the host's cards."""
    cmake_options: Mapping[CmakeOption, str] = Field(
        default_factory=dict, examples=['cmake_options={"GGML_CUDA_FORCE_MMQ": "ON"}']
    )
    """Further CMake options, e.g. `{"GGML_CUDA_FORCE_MMQ": "ON"}`."""

    @property
    def packaged_toolkit(self) -> PackagedToolkit | None:
        """The toolkit that is installed for it; none = the host has one, or it needs none."""
        return CUDA_TOOLKITS.get(self.cuda_toolkit) if self.backend == "cuda" else None

    @model_validator(mode="after")
    def _toolkit_knows_the_cards(self) -> LlamaCppBuild:
        toolkit = self.packaged_toolkit
        lowest = int(toolkit.capability.replace(".", "")) if toolkit else 0
        for architecture in self.cuda_architectures:
            if int(re.match("[0-9]+", architecture)[0]) < lowest:  # type: ignore[index]
                raise ValueError(
                    f'`cuda_architectures` has "{architecture}", and CUDA {self.cuda_toolkit} compiles for {lowest} '
                    "and later; remove it, or name an older toolkit that the host has as `cuda_toolkit`"
                )
        return self

    @model_validator(mode="after")
    def _options_fit_the_backend(self) -> LlamaCppBuild:
        for option, backend in (("cuda_architectures", "cuda"), ("cuda_toolkit", "cuda"), ("hip_targets", "hip")):
            if option in self.model_fields_set and getattr(self, option) and self.backend != backend:
                raise ValueError(f'`{option}` is for `backend="{backend}"`; remove it, or change `backend`')
        for option in self.cmake_options:
            if option in _OWN_CMAKE_OPTIONS:
                raise ValueError(
                    f"`cmake_options` sets {option}, which is `{_OWN_CMAKE_OPTIONS[option]}` here; use that"
                )
        if "BUILD_SHARED_LIBS" in self.cmake_options:
            raise ValueError("`cmake_options` sets BUILD_SHARED_LIBS, and its libraries are needed; remove it")
        return self


class LlamaCppRelease(UrlFile):
    """A released llama.cpp: a tar archive of programs and libraries. It must fit the host's processor and C library."""

    url: FileUrl = Field(
        examples=[
            'url="https://github.com/ggml-org/llama.cpp/releases/download/b7240/llama-b7240-bin-ubuntu-x64.tar.gz"'
        ]
    )
    """Address of the archive."""
    name: Name = Field("llama-cpp", examples=['name="llama-cpp-vulkan"'])
    """Name of the release; give two different ones on one host different names."""
    backend: Backend = Field("cpu", examples=['backend="vulkan"'])
    """What it computes on."""
    subdirectory: RelativePath | None = Field(None, examples=['subdirectory="build/bin"'])
    """Folder of the programs below the archive's single top folder; none = the top folder itself."""
    runtime: UrlFile | None = Field(
        None,
        examples=[
            'runtime=UrlFile(url="https://files.example.com/cudart-llama.tar.gz", '
            'sha256="50539c5fe9bf85887733355098dcdb266b433cb8c73fa180713417e9ed6e42bb")'
        ],
    )
    """Archive of the libraries that the backend needs, e.g. `cudart-llama-….tar.gz`; none = the host has them."""

    @property
    def machine(self) -> str | None:
        """The processor that its name says, as `uname -m` prints it; none = it says none."""
        return next((_MACHINES[word] for word in self._words if word in _MACHINES), None)

    @property
    def _words(self) -> list[str]:
        """Of its name, as llama.cpp names its releases: `llama-b7240-bin-ubuntu-vulkan-x64.tar.gz`."""
        return self.filename.lower().replace(".", "-").replace("_", "-").split("-")

    @model_validator(mode="after")
    def _are_tar_archives(self) -> LlamaCppRelease:
        for file in (self, self.runtime):
            if file and not file.filename.endswith(_ARCHIVES):
                raise ValueError(
                    f"{file.filename} is no tar archive ({', '.join(_ARCHIVES)}); take a newer release, whose archives "
                    "for Linux are, or pack it anew"
                )
        return self

    @model_validator(mode="after")
    def _is_for_the_backend(self) -> LlamaCppRelease:
        if system := next((_OTHER_SYSTEMS[word] for word in self._words if word in _OTHER_SYSTEMS), None):
            raise ValueError(f"{self.filename} is for {system}; take the archive for Ubuntu")
        if other := next((_OTHER_BACKENDS[word] for word in self._words if word in _OTHER_BACKENDS), None):
            raise ValueError(f"{self.filename} is for {other}, which no `backend` is; take another archive for Ubuntu")
        named = next((_NAMED_BACKENDS[word] for word in self._words if word in _NAMED_BACKENDS), None)
        if named and named != self.backend:
            raise ValueError(f'{self.filename} is for "{named}", and `backend` is "{self.backend}"; give what it is')
        return self


class PythonWheel(Options):
    """llama-cpp-python as a wheel with its own llama.cpp, e.g. from the project's index of CUDA wheels."""

    name: Name = Field("llama-cpp-python", examples=['name="llama-cpp-python-cuda"'])
    """Name of the environment; give two different ones on one host different names."""
    version: WheelVersion = Field(examples=['version="0.3.36"'])
    """The version that the environment must then contain."""
    backend: Backend = Field("cpu", examples=['backend="cuda"'])
    """What it computes on."""
    requirements: TextFile = Field(examples=['requirements=TextFile("~/ai-backend/llama-cpp-python-cuda.txt")'])
    """Hash-locked requirements, with `llama-cpp-python[server]` among them."""
    index_url: Url | None = Field(None, examples=['index_url="https://packages.example.com/simple"'])
    """A package index to use instead of the host's own."""
    extra_index_urls: Many[Url] = Field(
        (), examples=['extra_index_urls=["https://abetlen.github.io/llama-cpp-python/whl/cu124"]']
    )
    """Further package indexes."""
    find_links: Many[Url] = Field((), examples=['find_links=["https://files.example.com/wheels/"]'])
    """Pages that link to files of packages."""


def check_cards(backend: Backend, gpus: Gpus | None) -> None:
    """Check that the installed build can use the cards that the inventory assigns.

    Raises:
        ValueError: it cannot.
    """
    vendor = _VENDORS.get(backend)
    if backend == "cpu" and gpus:
        raise ValueError(f"`gpus` is given, and a CPU build cannot use them; {OTHER_BUILD}, or remove `gpus`")
    if vendor and gpus and gpus.vendor != vendor:
        raise ValueError(
            f'a build for {DEVICES[backend]} runs on cards of vendor "{vendor}", not "{gpus.vendor}"; fix `gpus`, or '
            "`backend` of the build"
        )
    if backend == "vulkan" and gpus is None:
        raise ValueError('a build for Vulkan runs on cards of any vendor; say which with `gpus=Gpus(vendor="amd")`')
    if backend == "vulkan" and gpus and gpus.uuids:
        raise ValueError(
            'Vulkan does not know cards by UUID; leave `uuids` out, and name them with `device`, e.g. ["Vulkan0"]'
        )


def check_shares(shares: Sequence[float], main_gpu: int | None, gpus: Gpus | None) -> None:
    """Check what is said about single cards.

    Raises:
        ValueError: it is about more cards than there are, or about none.
    """
    cards = gpus.uuids if gpus else ()
    if cards and len(shares) > len(cards):
        raise ValueError(f"`tensor_split` has {len(shares)} shares, and `gpus` names {len(cards)} cards: one each")
    if shares and not any(shares):
        raise ValueError("`tensor_split` gives each card a share of 0; give at least one a larger share")
    if cards and (main_gpu or 0) >= len(cards):
        raise ValueError(f"`main_gpu` is {main_gpu}, and `gpus` names {len(cards)} cards, which are counted from 0")


def check_devices(devices: Sequence[str], backend: Backend, gpus: Gpus | None) -> None:
    """
    Raises:
        ValueError: a device is none of the backend's or of the cards, or is named twice.
    """
    prefix = DEVICES.get(backend)
    for device in devices:
        name = device.rstrip("0123456789")
        number = int(device[len(name) :])
        if prefix and name != prefix and name in DEVICES.values():
            raise ValueError(f'`device` names {device}, and the build calls its devices "{prefix}0" and so on')
        if devices.count(device) > 1:
            raise ValueError(f"`device` names {device} twice; remove one")
        if name == prefix and gpus and gpus.uuids and number >= len(gpus.uuids):
            raise ValueError(
                f"`device` names {device}, and `gpus` names {len(gpus.uuids)} cards, which are counted from 0"
            )


def implied_cards(backend: Backend, gpus: Gpus | None) -> Gpus | None:
    """The cards of a server: the given ones, or all that its build is made for."""
    vendor = _VENDORS.get(backend)
    return Gpus(vendor=vendor) if gpus is None and vendor else gpus


def device_names(backend: Backend, gpus: Gpus | None) -> tuple[str, ...]:
    """llama.cpp's names of the devices that a server must see at least."""
    if gpus is None:
        return ()
    return tuple(f"{DEVICES[backend]}{number}" for number in range(max(1, len(gpus.uuids))))
