"""llama.cpp's part of a host plan."""

from __future__ import annotations

import json
from dataclasses import replace

from roles.contract.abilities import Abilities
from roles.contract.manifest import CardWeights
from roles.contract.modes import Mode
from roles.llama_cpp.arguments import arguments, model_settings, shown, switches, valued_options
from roles.llama_cpp.builds import DEVICES, Backend, LlamaCppBuild, LlamaCppRelease, PythonWheel
from roles.llama_cpp.installs import native_installs, packages, programs_folder, python_install
from roles.llama_cpp.memory import loads_of_python, loads_of_server, places_itself
from roles.llama_cpp.options import LlamaCppPython, LlamaServer, PythonServerModel
from roles.options import Gpus
from roles.plan import (
    CardNeeds,
    Dialect,
    HostContext,
    Json,
    Layout,
    ServicePlan,
    model_path,
    openai_prefixes,
    provider_plan,
)

_NATIVE = Dialect(
    kind="llama-server",
    prefixes=openai_prefixes("chat", "completion", "embedding", "rerank"),
    api_path="/v1",
    ready_path="/health",
    key_variable="LLAMA_API_KEY",
    metrics_path="/metrics",
)
_PYTHON = Dialect(
    # The list of models requires the key; the page that describes the API does not.
    kind="llama-cpp-python",
    prefixes=openai_prefixes("chat", "completion", "embedding"),
    api_path="/v1",
    ready_path="/openapi.json",
    # Read from the environment even with a config file.
    key_variable="API_KEY",
)
_TEXT_ONLY = replace(
    _PYTHON,
    # By `openai/` it is sent parts of content, `max_completion_tokens`, Responses and Messages, which it does not know.
    # This prefix makes of them chats as it reads them, and leaves out pictures.
    prefixes={**_PYTHON.prefixes, "chat": "docker_model_runner"},
)
_COUNTED: tuple[Backend, ...] = ("cuda", "hip")
"""Backends whose memory the driver counts for each process. For Vulkan this was not tested."""

_STOP_SECONDS = 2
"""On SIGTERM llama-server never answers the requests under way, and does not end while clients wait for them: seen 7 of
7 times with the llama.cpp of llama-cpp-python 0.3.36. Once it is killed, those requests go on to their fallbacks."""


def _modes(server: LlamaServer) -> tuple[Mode, ...]:
    """Without its switch llama-server answers 501: "This server does not support embeddings"."""
    ranks = server.reranking or (server.embeddings and server.pooling == "rank")
    embeds: tuple[Mode, ...] = ("embedding",) if server.embeddings or server.reranking else ()
    return ("chat", "completion", *embeds, *(("rerank",) if ranks else ()))


def _dialect(server: LlamaCppPython) -> Dialect:
    dialect = _PYTHON if any(model.mmproj for model in server.declared) else _TEXT_ONLY
    if any(model.embedding for model in server.declared):
        return dialect
    return replace(dialect, prefixes={mode: each for mode, each in dialect.prefixes.items() if mode != "embedding"})


def plan_server(server: LlamaServer, context: HostContext) -> ServicePlan:
    """`llama-server@<name>.service`."""
    if context.monitoring:
        server = server.model_copy(update={"metrics": True})
    layout = context.layout
    unit = f"llama-server@{server.name}.service"
    template = f"chat-templates/{unit}.jinja"
    command = [
        f"{programs_folder(server.build, layout)}/llama-server",
        "--host", server.bind,
        "--port", str(server.port),
        "--model", model_path(server.model, layout),
        "--alias", server.served_name,
        "--ctx-size", str(server.context_size),
        "--parallel", str(server.parallel),
        *arguments(valued_options(server, layout)),
        *(["--chat-template-file", f"{layout.config}/{template}"] if server.chat_template else []),
        *(switch for switch, wanted in switches(server).items() if wanted),
        "--no-webui",
        *server.extra_arguments,
    ]  # fmt: skip
    models = [model for model in (server.model, server.mmproj, server.draft_model, *server.lora) if model]
    planned = provider_plan(
        server,
        context,
        replace(_NATIVE, prefixes=openai_prefixes(*_modes(server))),
        unit=unit,
        template="llama_cpp/llama-server.service.j2",
        command=command,
        environment=_card_order(server.cards),
        installs=native_installs(server.build),
        models=models,
        packages=packages(server.build, server.cards),
        stop_seconds=_STOP_SECONDS,
        weights=_server_weights(server, layout),
        reads={template: server.chat_template.text()} if server.chat_template else {},
        abilities={server.served_name: _server_abilities(server)},
    )
    return replace(planned, card_needs=_card_needs(server.build, server.cards), loads=loads_of_server(server))


def _card_needs(build: LlamaCppBuild | LlamaCppRelease | PythonWheel, cards: Gpus | None) -> tuple[CardNeeds, ...]:
    """What the toolkit needs that compiles it; of what others have compiled nothing is known."""
    if not isinstance(build, LlamaCppBuild) or build.backend != "cuda" or cards is None:
        return ()
    toolkit = build.packaged_toolkit
    if toolkit is None:
        return (
            CardNeeds(
                what="llama.cpp",
                gpus=cards,
                older="leave `cuda_toolkit` out, and one is installed for it (driver 580 or newer)",
                toolkit=build.cuda_toolkit.removeprefix("installed"),
                compiles_for=not build.cuda_architectures,
            ),
        )
    older = "name a toolkit for it that is installed as `cuda_toolkit`, or take a release"
    return (
        CardNeeds(
            what=f"llama.cpp, compiled with CUDA {build.cuda_toolkit},",
            gpus=cards,
            driver=toolkit.driver,
            older=older,
            capability=toolkit.capability,
            instead=older,
        ),
    )


def _server_abilities(server: LlamaServer) -> Abilities:
    """It ignores `n`. Each slot has its share of the context, unless they share one."""
    shares = 1 if server.kv_unified else server.parallel
    return Abilities(
        images=server.mmproj is not None,
        audio=server.mmproj is not None,
        tools=server.jinja is not False,
        several=False,
        context_size=server.context_size // shares or None,
    )


_TOOL_FORMATS = ("chatml-function-calling", "functionary")
"""Beginnings of llama-cpp-python's chat formats that read tool calls from the model's output."""


def _python_abilities(model: PythonServerModel) -> Abilities:
    """As tried with 0.3.36: it ignores `n`, answers 500 to a JSON schema and to `logprobs`, ends a stream without a
    word where a request is too long, and passes tools to the template but does not read calls of them."""
    return Abilities(
        images=model.mmproj is not None,
        tools=bool(model.chat_format and model.chat_format.startswith(_TOOL_FORMATS)),
        structured_outputs=False,
        thinking=False,
        logprobs=False,
        several=False,
        context_size=model.context_size or None,
        cuts_silently=True,
    )


def plan_python(server: LlamaCppPython, context: HostContext) -> ServicePlan:
    """`llama-cpp-python@<name>.service`: its own environment, with the native build's libraries or its own."""
    layout = context.layout
    settings: dict[str, Json] = {
        "host": server.bind,
        "port": server.port,
        # By default a new request cuts off an answer that is being streamed to another client.
        "interrupt_requests": False,
    }
    models = [model_settings(model, server, layout) for model in server.declared]
    environment = python_install(server.build)
    installs = [environment]
    variables = _card_order(server.cards)
    if isinstance(server.build, LlamaCppBuild):
        installs = [*native_installs(server.build), environment]
        variables["LLAMA_CPP_LIB_PATH"] = programs_folder(server.build, layout)
    reads: dict[str, str] = {}
    if len(models) == 1:
        command = arguments({f"--{name}": shown(value) for name, value in {**settings, **models[0]}.items()})
    else:
        file = f"llama-cpp-python/{server.name}.json"
        reads[file] = json.dumps({**settings, "models": list(models)}, indent=2) + "\n"
        command = ["--config_file", f"{layout.config}/{file}"]
    files = [file for model in server.declared for file in (model.model, model.mmproj) if file]
    planned = provider_plan(
        server,
        context,
        _dialect(server),
        unit=f"llama-cpp-python@{server.name}.service",
        template="llama_cpp/llama-cpp-python.service.j2",
        # If it crashes, its log shows where each of its threads was.
        command=[
            f"{layout.install(environment.name)}/bin/python",
            *("-I", "-u", "-X", "faulthandler", "-m", "llama_cpp.server"),
            *command,
        ],
        environment=variables,
        installs=installs,
        models=files,
        packages=packages(server.build, server.cards),
        weights=_python_weights(server, layout),
        reads=reads,
        abilities={model.served_name: _python_abilities(model) for model in server.declared},
    )
    return replace(planned, card_needs=_card_needs(server.build, server.cards), loads=loads_of_python(server))


def _server_weights(server: LlamaServer, layout: Layout) -> list[CardWeights]:
    """What must be on the server's cards: the main model's layers. Projectors, adapters and drafts may be elsewhere."""
    backend, layers = server.build.backend, server.gpu_layers
    if backend not in _COUNTED or layers == 0 or server.n_cpu_moe or places_itself(server):
        return []
    if not all(device.startswith(DEVICES[backend]) for device in server.device):
        return []
    return [CardWeights(model_path(server.model, layout), layers, if_free=layers is None)]


def _python_weights(server: LlamaCppPython, layout: Layout) -> list[CardWeights]:
    """Any of them may be the loaded one. This server does not check for room: a model that does not fit ends it."""
    models = server.declared
    if server.build.backend not in _COUNTED or any(model.gpu_layers == 0 for model in models):
        return []
    return [
        CardWeights(model_path(model.model, layout), None if model.gpu_layers == -1 else model.gpu_layers)
        for model in models
    ]


def _card_order(cards: Gpus | None) -> dict[str, str]:
    """Number the cards as nvidia-smi does, not by speed."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if cards and cards.vendor == "nvidia" else {}
