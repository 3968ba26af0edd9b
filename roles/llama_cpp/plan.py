"""llama.cpp's part of a host plan."""

from __future__ import annotations

from roles.llama_cpp.spec import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.plan import (
    MEGABYTE,
    Backend,
    Context,
    Install,
    Json,
    Ready,
    ServicePlan,
    Unit,
    hub_install,
    python_env,
    unit_file,
)
from roles.spec import GgufSource, PythonSdist, UrlFile

PYTHON_VERSION = "0.3.36"
"""Version of llama-cpp-python that `locks/` pins. Its bindings fit the llama.cpp tree of the same release only."""

_BUILD_PACKAGES = ("ccache", "cmake", "g++", "ninja-build", "python3-venv")
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


def model_install(provider: str, model: GgufSource) -> Install:
    """A GGUF file in a folder of its own."""
    name = f"model-{provider}"
    if isinstance(model, UrlFile):
        recipe: dict[str, Json] = {"url": model.url, "sha256": model.sha256, "filename": model.filename}
        return Install(kind="model", name=name, title=f"model {model.filename}", recipe=recipe)
    return hub_install(name, model)


def plan_server(server: LlamaServer, context: Context) -> ServicePlan:
    """`llama-server@<name>.service`."""
    layout = context.layout
    build, model = build_install(server.build), model_install(server.name, server.model)
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
    name = f"llama-server@{server.name}.service"
    unit = Unit(
        name=name,
        text=unit_file(
            "llama-server.service.j2", layout=layout, unit=name, service=server, command=command, environment={}
        ),
        environment={},
        reads=(),
        installs=(build.name, model.name),
        bind=server.bind,
        port=server.port,
        ready=Ready(f"http://{server.reachable_at}:{server.port}/health", server.start_timeout),
    )
    return ServicePlan(
        units=(unit,), installs=(build, model), packages=_BUILD_PACKAGES, backend=_backend(server, "llama-server", unit)
    )


def plan_python(server: LlamaCppPython, context: Context) -> ServicePlan:
    """`llama-cpp-python@<name>.service`: its own environment, the native build's libraries."""
    layout = context.layout
    build, model = build_install(server.build), model_install(server.name, server.model)
    environment = python_env(
        "llama_cpp",
        "llama-cpp-python",
        PYTHON_VERSION,
        name=f"{server.build.name}-python",
        disk=100 * MEGABYTE,
        work_disk=250 * MEGABYTE,
        build_lock="build",
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
    name = f"llama-cpp-python@{server.name}.service"
    unit = Unit(
        name=name,
        text=unit_file(
            "llama-cpp-python.service.j2",
            layout=layout,
            unit=name,
            service=server,
            command=command,
            environment={"LLAMA_CPP_LIB_PATH": f"{layout.install(build.name)}/bin", "PYTHONUNBUFFERED": "1"},
        ),
        environment={},
        reads=(),
        installs=(build.name, environment.name, model.name),
        bind=server.bind,
        port=server.port,
        ready=Ready(f"http://{server.reachable_at}:{server.port}/v1/models", server.start_timeout),
    )
    return ServicePlan(
        units=(unit,),
        installs=(build, environment, model),
        packages=_BUILD_PACKAGES,
        backend=_backend(server, "llama-cpp-python", unit),
    )


def _backend(server: LlamaServer | LlamaCppPython, kind: str, unit: Unit) -> Backend:
    return Backend(
        provider=server.name,
        kind=kind,
        unit=unit,
        litellm_prefix="openai",
        api_base=f"http://{server.reachable_at}:{server.port}/v1",
        models=server.served(),
    )


def _shown_source(build: LlamaCppBuild) -> str:
    source = build.source
    return f"{source.package} {source.version}" if isinstance(source, PythonSdist) else source.filename
