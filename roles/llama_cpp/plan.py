"""llama.cpp's part of a host plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from roles.llama_cpp.builds import LlamaCppBuild
from roles.llama_cpp.installs import native_install, packages, programs_folder, python_install
from roles.llama_cpp.spec import LlamaCppPython, LlamaServer, PythonServerModel
from roles.plan import Context, Dialect, Install, Json, Layout, ServicePlan, model_install, provider_plan
from roles.spec import GgufSource, Gpus

_NATIVE = Dialect(
    kind="llama-server", litellm_prefix="openai", api_path="/v1", ready_path="/health", key_variable="LLAMA_API_KEY"
)
_PYTHON = Dialect(
    # The list of models asks for the key; the page that describes the API does not.
    kind="llama-cpp-python",
    litellm_prefix="openai",
    api_path="/v1",
    ready_path="/openapi.json",
    # Read from there with a config file too.
    key_variable="API_KEY",
)
_CACHE_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
"""ggml's numbers of tensor types, which the Python server wants. Source: `enum ggml_type` in ggml.h."""


def plan_server(server: LlamaServer, context: Context) -> ServicePlan:
    """`llama-server@<name>.service`."""
    layout = context.layout
    unit = f"llama-server@{server.name}.service"
    template = f"chat-templates/{unit}.jinja"
    command = [
        f"{programs_folder(server.build, layout)}/llama-server",
        "--host", server.bind,
        "--port", str(server.port),
        "--model", _path(server.model, layout),
        "--alias", server.served_name,
        "--ctx-size", str(server.context_size),
        "--parallel", str(server.parallel),
        *_arguments(_native_options(server, layout)),
        *(["--chat-template-file", f"{layout.config}/{template}"] if server.chat_template else []),
        *_native_switches(server),
        "--no-webui",
        *server.extra_arguments,
    ]  # fmt: skip
    models = [server.model, server.mmproj, server.draft_model, *server.lora]
    return provider_plan(
        server,
        context,
        _NATIVE,
        unit=unit,
        template="llama-server.service.j2",
        command=command,
        environment=_card_order(server.cards),
        installs=_once([native_install(server.build), *(model_install(model) for model in models if model)]),
        packages=packages(server.build, server.cards),
        reads={template: server.chat_template.text()} if server.chat_template else {},
    )


def _native_options(server: LlamaServer, layout: Layout) -> dict[str, object]:
    """The options with a value, those that differ from llama-server's own defaults."""
    drafts = server.spec_type or ("draft-simple" if server.draft_model else None)
    return {
        "--threads": server.threads,
        "--threads-batch": server.threads_batch,
        "--batch-size": server.batch_size,
        "--ubatch-size": server.ubatch_size,
        "--n-gpu-layers": server.gpu_layers,
        "--n-cpu-moe": server.n_cpu_moe,
        "--device": ",".join(server.device) or None,
        "--split-mode": server.split_mode,
        "--tensor-split": ",".join(f"{share:g}" for share in server.tensor_split) or None,
        "--main-gpu": server.main_gpu,
        "--flash-attn": server.flash_attention if server.flash_attention != "auto" else None,
        "--cache-type-k": server.cache_type_k,
        "--cache-type-v": server.cache_type_v,
        "--cache-ram": server.cache_ram,
        "--load-mode": server.load_mode if server.load_mode != "auto" else None,
        "--numa": server.numa,
        "--rope-scaling": server.rope_scaling,
        "--rope-scale": _figure(server.rope_scale),
        "--rope-freq-base": _figure(server.rope_freq_base),
        "--yarn-orig-ctx": server.yarn_orig_ctx,
        "--mmproj": _path(server.mmproj, layout) if server.mmproj else None,
        "--lora": ",".join(_path(adapter, layout) for adapter in server.lora) or None,
        "--pooling": server.pooling,
        "--chat-template-kwargs": json.dumps(dict(server.chat_template_kwargs))
        if server.chat_template_kwargs
        else None,
        "--reasoning-format": server.reasoning_format if server.reasoning_format != "auto" else None,
        "--reasoning-budget": server.reasoning_budget,
        "--model-draft": _path(server.draft_model, layout) if server.draft_model else None,
        # A draft model that nobody asks for by its type is loaded and not used.
        "--spec-type": drafts,
        "--spec-draft-n-max": server.draft_max,
        "--spec-draft-n-min": server.draft_min,
        "--n-gpu-layers-draft": server.draft_gpu_layers,
    }


def _native_switches(server: LlamaServer) -> list[str]:
    switches = {
        "--kv-unified": server.kv_unified is True,
        "--no-kv-unified": server.kv_unified is False,
        "--context-shift": server.context_shift,
        "--embeddings": server.embeddings,
        "--reranking": server.reranking,
        "--jinja": server.jinja is True,
        "--no-jinja": server.jinja is False,
        "--metrics": server.metrics,
        "--no-slots": not server.slots,
    }
    return [switch for switch, wanted in switches.items() if wanted]


def plan_python(server: LlamaCppPython, context: Context) -> ServicePlan:
    """`llama-cpp-python@<name>.service`: its own environment, and the native build's libraries or its own."""
    layout = context.layout
    settings: dict[str, Json] = {
        "host": server.bind,
        "port": server.port,
        # By default a new request cuts the answer short that is being streamed to somebody else.
        "interrupt_requests": False,
    }
    models = [_model_settings(model, server, layout) for model in server.declared]
    environment = python_install(server.build)
    installs = [environment]
    variables = {"PYTHONUNBUFFERED": "1", **_card_order(server.cards)}
    if isinstance(server.build, LlamaCppBuild):
        installs.insert(0, native_install(server.build))
        variables["LLAMA_CPP_LIB_PATH"] = programs_folder(server.build, layout)
    reads: dict[str, str] = {}
    if len(models) == 1:
        arguments = _arguments({f"--{name}": _shown(value) for name, value in {**settings, **models[0]}.items()})
    else:
        file = f"llama-cpp-python/{server.name}.json"
        reads[file] = json.dumps({**settings, "models": list(models)}, indent=2) + "\n"
        arguments = ["--config_file", f"{layout.config}/{file}"]
    files = [file for model in server.declared for file in (model.model, model.mmproj) if file]
    return provider_plan(
        server,
        context,
        _PYTHON,
        unit=f"llama-cpp-python@{server.name}.service",
        template="llama-cpp-python.service.j2",
        command=[f"{layout.install(environment.name)}/bin/python", "-m", "llama_cpp.server", *arguments],
        environment=variables,
        installs=_once([*installs, *(model_install(file) for file in files)]),
        packages=packages(server.build, server.cards),
        reads=reads,
    )


def _model_settings(model: PythonServerModel, server: LlamaCppPython, layout: Layout) -> dict[str, Json]:
    """A model's settings as llama-cpp-python calls them."""
    all_layers = -1 if server.cards else 0
    settings: dict[str, Json] = {
        "model": _path(model.model, layout),
        "model_alias": model.served_name,
        "n_ctx": model.context_size,
        "n_gpu_layers": all_layers if model.gpu_layers is None else model.gpu_layers,
        # Its own default is to lock, which then fails with a warning.
        "use_mlock": model.mlock,
        "n_threads": model.threads,
        "n_batch": model.batch_size,
        "tensor_split": list(model.tensor_split) or None,
        "main_gpu": model.main_gpu,
        "flash_attn": model.flash_attention or None,
        "type_k": _CACHE_TYPES[model.cache_type_k] if model.cache_type_k else None,
        "type_v": _CACHE_TYPES[model.cache_type_v] if model.cache_type_v else None,
        "embedding": model.embedding or None,
        "chat_format": model.chat_format,
        "chat_template_kwargs": dict(model.chat_template_kwargs) or None,
        "clip_model_path": _path(model.mmproj, layout) if model.mmproj else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _arguments(options: Mapping[str, object]) -> list[str]:
    """Options and their values; those without one are left out, and a list is several values."""
    arguments: list[str] = []
    for option, value in options.items():
        if isinstance(value, list):
            arguments += [option, *map(str, value)]
        elif value is not None:
            arguments += [option, str(value)]
    return arguments


def _shown(value: Json) -> object:
    """A setting as the Python server takes it on its command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else value


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _path(source: GgufSource, layout: Layout) -> str:
    return f"{layout.install(model_install(source).name)}/{source.filename}"


def _once(installs: Sequence[Install]) -> list[Install]:
    return list({install.name: install for install in installs}.values())


def _card_order(cards: Gpus | None) -> dict[str, str]:
    """Cards are numbered as nvidia-smi numbers them, not by speed."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if cards and cards.vendor == "nvidia" else {}
