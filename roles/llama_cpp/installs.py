"""What llama.cpp's servers run from: builds, releases and Python environments, as installs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from roles.llama_cpp.builds import CMAKE_SWITCHES, DEVICES, Backend, LlamaCppBuild, LlamaCppRelease, PythonWheel
from roles.llama_cpp.options import PYTHON_VERSION
from roles.options import Gpus, PythonSdist, SourceTree
from roles.plan import (
    MEGABYTE,
    Archive,
    ArchiveSource,
    BackendCheck,
    Indexes,
    Install,
    Layout,
    PlatformKey,
    ReleaseRecipe,
    SdistSource,
    SourceBuildRecipe,
    python_env,
    read_lock,
)

_BUILD_PACKAGES = ("ccache", "cmake", "g++", "ninja-build", "python3-venv")
_VULKAN_BUILD_PACKAGES = ("glslc", "libvulkan-dev", "spirv-headers")
# Libraries that the programs of the project's own archives link to; `openssl` brings its library under any name.
_RELEASE_PACKAGES = ("libgomp1", "openssl")
_CMAKE_OPTIONS = {
    # Rebuilds need no network and no Node.js: llama-server's optional web page is left out.
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_CURL": "OFF",
    "CMAKE_BUILD_TYPE": "Release",
    # The programs are copied out of the build tree: they must find their libraries in their own folder.
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
}
_TARGETS: Mapping[Backend, str] = {"cuda": "CMAKE_CUDA_ARCHITECTURES", "hip": "GPU_TARGETS"}
"""The CMake option for a build's cards. Vulkan compiles on the card."""
_SERVER_MODULE = "import llama_cpp.server.app"


def cuda_toolkit(build: LlamaCppBuild) -> Install | None:
    """The install with the toolkit that it is compiled with; none = the host has it, or none is needed."""
    toolkit = build.packaged_toolkit
    if toolkit is None:
        return None
    version = toolkit.version
    install = python_env(
        f"cuda-toolkit-{build.cuda_toolkit}",
        "cuda-toolkit",
        version,
        requirements=read_lock("llama_cpp", f"cuda-toolkit-{version}"),
        disk=1200 * MEGABYTE,
        work_disk=1200 * MEGABYTE,
        toolkit="cuda",
    )
    # No code of it runs in Python. Another one of the same release is no reason to compile everything anew.
    return replace(install, title=f"CUDA toolkit {build.cuda_toolkit}", platform=("machine", "os"))


def native_installs(build: LlamaCppBuild | LlamaCppRelease) -> tuple[Install, ...]:
    """What a native server runs from: last its own install, after the toolkit that it needs."""
    if isinstance(build, LlamaCppRelease):
        return (_release(build),)
    toolkit = cuda_toolkit(build)
    return (*([toolkit] if toolkit else []), _build(build, toolkit))


def programs_folder(build: LlamaCppBuild | LlamaCppRelease, layout: Layout) -> str:
    """The folder of its programs and libraries on the host."""
    below = build.subdirectory if isinstance(build, LlamaCppRelease) else "bin"
    return f"{layout.install(build.name)}/{below}" if below else layout.install(build.name)


def packages(build: LlamaCppBuild | LlamaCppRelease | PythonWheel, cards: Gpus | None) -> tuple[str, ...]:
    """The Debian packages needed to make and run it."""
    match build:
        case LlamaCppBuild():
            needed = [*_BUILD_PACKAGES, *(_VULKAN_BUILD_PACKAGES if build.backend == "vulkan" else [])]
        case LlamaCppRelease():
            needed = [*_RELEASE_PACKAGES, *(["zstd"] if build.filename.endswith(".zst") else [])]
            needed += ["xz-utils"] if build.filename.endswith(".xz") else []
        case PythonWheel():
            needed = ["libgomp1", "python3-venv"]
    if build.backend == "vulkan":
        # NVIDIA's driver brings its own part; that of AMD's cards is Mesa's.
        needed += ["libvulkan1", *(["mesa-vulkan-drivers"] if cards and cards.vendor == "amd" else [])]
    return tuple(needed)


def _build(build: LlamaCppBuild, toolkit: Install | None) -> Install:
    options: dict[str, str] = {**_CMAKE_OPTIONS, "GGML_NATIVE": "ON" if build.native else "OFF"}
    platform: list[PlatformKey] = ["machine", "os"]
    if build.native:
        platform.append("cpu")
    if build.backend in CMAKE_SWITCHES:
        options[CMAKE_SWITCHES[build.backend]] = "ON"
    if build.backend in _TARGETS:
        option, targets = _TARGETS[build.backend], build.cuda_architectures or build.hip_targets
        options[option] = ";".join(targets) or "@platform:gpu@"
        if not targets:
            platform.append("gpu")
    on_cards = build.backend != "cpu"
    return Install(
        name=build.name,
        title=f"llama.cpp from {_shown_source(build)}{_for(build.backend)}",
        recipe=SourceBuildRecipe(
            source=_source(build.source),
            cmake_options={**options, **build.cmake_options},
            targets=("llama-server",),
            output="bin",
            toolkit=build.backend if on_cards else None,
            toolkit_folder=_toolkit_folder(build, toolkit),
            backend=_wanted(build.backend, "bin"),
        ),
        needs=(toolkit.name,) if toolkit else (),
        platform=tuple(platform),
        # The sizes of builds for cards were not measured.
        disk=(300 if on_cards else 20) * MEGABYTE,
        work_disk=(1500 if on_cards else 400) * MEGABYTE,
    )


def _toolkit_folder(build: LlamaCppBuild, toolkit: Install | None) -> str | None:
    if toolkit:
        return f"@{toolkit.name}@/cuda"
    return build.cuda_toolkit if build.cuda_toolkit.startswith("/") else None


def _source(tree: SourceTree) -> ArchiveSource | SdistSource:
    if isinstance(tree, PythonSdist):
        return SdistSource(
            package=tree.package, version=tree.version, sha256=tree.sha256, subdirectory=tree.subdirectory
        )
    return ArchiveSource(url=tree.url, sha256=tree.sha256, subdirectory=tree.subdirectory)


def _release(release: LlamaCppRelease) -> Install:
    folder = release.subdirectory or "."
    archives = [Archive(release.url, release.sha256, strip=1)]
    if release.runtime:
        archives.append(Archive(release.runtime.url, release.runtime.sha256, strip=1, into=folder))
    return Install(
        name=release.name,
        title=f"llama.cpp from {release.filename}",
        machine=release.machine,
        recipe=ReleaseRecipe(
            archives=tuple(archives),
            check=(f"{folder}/llama-server", "--version"),
            says="version",
            backend=_wanted(release.backend, folder),
        ),
        platform=("machine",),
        # As the release pages show them, for the largest.
        disk=(1200 if release.runtime else 400) * MEGABYTE,
        work_disk=(600 if release.runtime else 200) * MEGABYTE,
    )


def python_install(build: LlamaCppBuild | PythonWheel) -> Install:
    """The environment of a Python server."""
    return _wheel(build) if isinstance(build, PythonWheel) else _bindings(build)


def _bindings(build: LlamaCppBuild) -> Install:
    return python_env(
        f"{build.name}-python",
        "llama-cpp-python",
        PYTHON_VERSION,
        requirements=read_lock("llama_cpp", f"llama-cpp-python-{PYTHON_VERSION}"),
        disk=100 * MEGABYTE,
        work_disk=250 * MEGABYTE,
        build_requirements=read_lock("llama_cpp", "build"),
        # The bindings only: the libraries come from the native build.
        environment={"CMAKE_ARGS": "-DLLAMA_BUILD=OFF", "LLAMA_CPP_LIB_PATH": f"@{build.name}@/bin"},
        needs=(build.name,),
        first_try=_SERVER_MODULE,
    )


def _wheel(wheel: PythonWheel) -> Install:
    return python_env(
        wheel.name,
        "llama-cpp-python",
        wheel.version,
        requirements=wheel.requirements.text(),
        indexes=Indexes(wheel.index_url, tuple(wheel.extra_index_urls), tuple(wheel.find_links)),
        disk=(800 if wheel.backend != "cpu" else 200) * MEGABYTE,
        work_disk=(800 if wheel.backend != "cpu" else 200) * MEGABYTE,
        # Otherwise uv might build a source package of the same version with any compiler that is there.
        environment={"UV_NO_BUILD": "1"},
        first_try=_SERVER_MODULE,
        backend=_wanted(wheel.backend, "lib/python3.*/site-packages/llama_cpp/lib"),
    )


def _wanted(backend: Backend, libraries: str) -> BackendCheck | None:
    """The backend to check in the finished install; the one for the processor is in every install."""
    return BackendCheck(DEVICES[backend], libraries) if backend in DEVICES else None


def _for(backend: Backend) -> str:
    return f" for {DEVICES[backend]}" if backend in DEVICES else ""


def _shown_source(build: LlamaCppBuild) -> str:
    source = build.source
    return f"{source.package} {source.version}" if isinstance(source, PythonSdist) else source.filename
