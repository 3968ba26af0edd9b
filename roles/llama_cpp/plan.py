"""llama.cpp's part of a host plan."""

from __future__ import annotations

from roles.llama_cpp.spec import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.plan import (
    MEGABYTE,
    Context,
    Dialect,
    Install,
    Json,
    ServicePlan,
    model_install,
    provider_plan,
    python_env,
    read_lock,
)
from roles.spec import PythonSdist

PYTHON_VERSION = "0.3.36"
"""Version of llama-cpp-python that `locks/` pins. Its bindings fit the llama.cpp tree of the same release only."""

_NATIVE = Dialect(
    kind="llama-server", litellm_prefix="openai", api_path="/v1", ready_path="/health", key_variable="LLAMA_API_KEY"
)
_PYTHON = Dialect(
    # The list of models asks for the key; the page that describes the API does not.
    kind="llama-cpp-python",
    litellm_prefix="openai",
    api_path="/v1",
    ready_path="/openapi.json",
    key_variable="API_KEY",
)
BUILD_PACKAGES = ("ccache", "cmake", "g++", "ninja-build", "python3-venv")
_CMAKE_OPTIONS = {
    # Rebuilds need no network and no Node.js: the web page that llama-server can carry is left out.
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_CURL": "OFF",
    "CMAKE_BUILD_TYPE": "Release",
    # The programs are copied out of the build tree: they must find their libraries beside themselves.
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
}


def build_install(build: LlamaCppBuild) -> Install:
    """llama.cpp compiled from source; its folder holds `bin/` with the programs and libraries."""
    options: dict[str, Json] = {**_CMAKE_OPTIONS, "GGML_NATIVE": "ON" if build.native else "OFF"}
    return Install(
        kind="source-build",
        name=build.name,
        title=f"llama.cpp from {_shown_source(build)}",
        recipe={
            "source": {"type": type(build.source).__name__, **build.source.model_dump()},
            "cmake_options": options,
            "targets": ["llama-server"],
            "output": "bin",
        },
        platform=("machine", "os", "cpu") if build.native else ("machine", "os"),
        disk=20 * MEGABYTE,
        work_disk=400 * MEGABYTE,
    )


def plan_server(server: LlamaServer, context: Context) -> ServicePlan:
    """`llama-server@<name>.service`."""
    layout = context.layout
    build, model = build_install(server.build), model_install(server.model)
    command = [
        f"{layout.install(build.name)}/bin/llama-server",
        "--host", server.bind,
        "--port", str(server.port),
        "--model", f"{layout.install(model.name)}/{server.model.filename}",
        "--alias", server.served_name,
        "--ctx-size", str(server.context_size),
        "--parallel", str(server.parallel),
        *(["--threads", str(server.threads)] if server.threads else []),
        *(["--n-gpu-layers", str(server.gpu_layers)] if server.gpu_layers is not None else []),
        "--no-webui",
        *server.extra_arguments,
    ]  # fmt: skip
    return provider_plan(
        server,
        context,
        _NATIVE,
        unit=f"llama-server@{server.name}.service",
        template="llama-server.service.j2",
        command=command,
        environment={},
        installs=(build, model),
        packages=BUILD_PACKAGES,
    )


def plan_python(server: LlamaCppPython, context: Context) -> ServicePlan:
    """`llama-cpp-python@<name>.service`: its own environment, the native build's libraries."""
    layout = context.layout
    build, model = build_install(server.build), model_install(server.model)
    environment = python_env(
        f"{server.build.name}-python",
        "llama-cpp-python",
        PYTHON_VERSION,
        requirements=read_lock("llama_cpp", f"llama-cpp-python-{PYTHON_VERSION}"),
        disk=100 * MEGABYTE,
        work_disk=250 * MEGABYTE,
        build_requirements=read_lock("llama_cpp", "build"),
        # The bindings only: the libraries are those of the native build.
        environment={"CMAKE_ARGS": "-DLLAMA_BUILD=OFF", "LLAMA_CPP_LIB_PATH": f"@{build.name}@/bin"},
        needs=(build.name,),
        first_try="import llama_cpp.server.app",
    )
    command = [
        f"{layout.install(environment.name)}/bin/python",
        "-m", "llama_cpp.server",
        "--host", server.bind,
        "--port", str(server.port),
        "--model", f"{layout.install(model.name)}/{server.model.filename}",
        "--model_alias", server.served_name,
        "--n_ctx", str(server.context_size),
        "--n_gpu_layers", str(server.gpu_layers),
        # By default a new request cuts the answer short that is being streamed to somebody else.
        "--interrupt_requests", "false",
        *(["--n_threads", str(server.threads)] if server.threads else []),
    ]  # fmt: skip
    return provider_plan(
        server,
        context,
        _PYTHON,
        unit=f"llama-cpp-python@{server.name}.service",
        template="llama-cpp-python.service.j2",
        command=command,
        environment={"LLAMA_CPP_LIB_PATH": f"{layout.install(build.name)}/bin", "PYTHONUNBUFFERED": "1"},
        installs=(build, environment, model),
        packages=BUILD_PACKAGES,
    )


def _shown_source(build: LlamaCppBuild) -> str:
    source = build.source
    return f"{source.package} {source.version}" if isinstance(source, PythonSdist) else source.filename
