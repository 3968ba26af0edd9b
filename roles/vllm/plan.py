"""vLLM's part of a host plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from roles.contract.abilities import Abilities
from roles.contract.manifest import Traits
from roles.contract.modes import MODES, Mode
from roles.plan import (
    MEGABYTE,
    CardNeeds,
    Dialect,
    HostContext,
    Indexes,
    Install,
    Layout,
    ServicePlan,
    model_path,
    provider_plan,
    python_env,
    read_lock,
)
from roles.vllm.memory import loads_of
from roles.vllm.options import Vllm, VllmPackage

TRAITS = Traits(
    # Its workers connect to each other, by gloo and NCCL.
    talks_to_itself=True,
    # With several cards PyTorch's store listens on all addresses, whatever its configuration.
    listens_elsewhere="PyTorch's own, to be kept behind a firewall",
    fills_cards=True,
)
_DIALECT = Dialect(
    kind="vllm",
    prefixes=dict.fromkeys(MODES, "hosted_vllm"),
    api_path="/v1",
    ready_path="/health",
    key_variable="VLLM_API_KEY",
    traits=TRAITS,
    metrics_path="/metrics",
)
_MODES: Mapping[str, Sequence[Mode]] = {"generate": ("chat", "completion"), "pooling": ("embedding", "rerank")}
"""What each runner serves; `auto` is the one or the other, by the model."""
_GPU_PACKAGES = ("gcc", "libc6-dev", "python3-dev")
"""Triton compiles launchers for its kernels when the server starts."""
_GPU_ENVIRONMENT = {
    # Number the cards as nvidia-smi does, not by speed.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "NCCL_SOCKET_IFNAME": "lo",
}
_CUDA_NEEDS = {"13": ("580", "7.5"), "12": ("525", "7.0")}
"""CUDA's major version → the oldest driver that runs it, and the lowest compute capability of PyTorch's builds for it.
Sources: NVIDIA's CUDA Toolkit Release Notes (CUDA 13 has no Volta), PyTorch's RELEASE.md."""
_SHARED_MEMORY = 1000 * MEGABYTE
"""What the parts of a model need to talk on one host. Source: NVIDIA's NCCL User Guide, on /dev/shm of containers."""
_NEED_AMPERE = frozenset({"awq_marlin", "gptq_marlin"})
_PATH = "/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin"
_SHUTDOWN_SECONDS = 20
_CPU_PACKAGES = ("libnuma1", "g++", "libc6-dev", "python3-dev")
"""vLLM's own kernels for processors link to libnuma: without it they fail late and with a misleading message. With the
others PyTorch compiles at run time, such as for the probabilities of tokens: without them one request for `logprobs`
ends the server."""

_LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(process)d [%(filename)s:%(lineno)d] %(message)s"}},
    "handlers": {"journal": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"}},
    "loggers": {
        "vllm": {"handlers": ["journal"], "level": "INFO", "propagate": False},
        # What a request asked for: its words to stop at and its JSON schema are its sender's.
        "vllm.entrypoints.serve.utils.request_logger": {"level": "ERROR"},
        "uvicorn": {"handlers": ["journal"], "level": "INFO", "propagate": False},
        # A second line for each request, without its id.
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}
"""For vLLM and its HTTP server: a line for each request with its id, which the gateway sends, and no content."""


def plan_vllm(vllm: Vllm, context: HostContext) -> ServicePlan:
    """`vllm@<name>.service`."""
    layout = context.layout
    if vllm.gpus:
        share = vllm.gpu_memory_utilization or context.shares.get(vllm.name)
        vllm = vllm.model_copy(update={"gpu_memory_utilization": share})
    package = replace(_environment(vllm.package), cpu_flags=() if vllm.gpus else ("avx2",))
    unit = f"vllm@{vllm.name}.service"
    template = f"chat-templates/{unit}.jinja"
    log_config = f"logging/{unit}.json"
    cache = f"{layout.cache}/vllm/{vllm.name}"
    command = [
        f"{layout.install(package.name)}/bin/vllm",
        "serve",
        model_path(vllm.model, layout),
        "--host", vllm.bind,
        "--port", str(vllm.port),
        "--served-model-name", vllm.model_name,
        # On a stop, running requests get this long to end. Without it one open stream delays the stop up to its
        # time-out.
        "--shutdown-timeout", str(_SHUTDOWN_SECONDS),
        # These pages require no key.
        "--disable-fastapi-docs",
        "--enable-log-requests",
        *_options(vllm),
        *_adapters(vllm, layout),
        *(["--chat-template", f"{layout.config}/{template}"] if vllm.chat_template else []),
        *vllm.extra_arguments,
    ]  # fmt: skip
    planned = provider_plan(
        vllm,
        context,
        replace(_DIALECT, prefixes={mode: _DIALECT.prefixes[mode] for mode in _MODES.get(vllm.runner, MODES)}),
        unit=unit,
        template="vllm/vllm.service.j2",
        command=command,
        environment={
            # The deploy fetches the models, and nothing else may leave the host.
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_LOGGING_CONFIG_PATH": f"{layout.config}/{log_config}",
            "DO_NOT_TRACK": "1",
            # If it crashes, its log shows where each of its threads was.
            "PYTHONFAULTHANDLER": "1",
            # Compiled kernels of vLLM, and in its home those of Triton and the driver.
            "HOME": cache,
            "VLLM_CACHE_ROOT": f"{cache}/vllm",
            # Its processes talk to each other, otherwise over the host's own address, which anyone can reach.
            "GLOO_SOCKET_IFNAME": "lo",
            **(_GPU_ENVIRONMENT if vllm.gpus else {}),
            # It looks for compilers beside its Python.
            "PATH": f"{layout.install(package.name)}/bin:{_PATH}",
        },
        installs=(package,),
        models=(vllm.model, *(adapter.model for adapter in vllm.lora_modules)),
        packages=("python3-venv", *(_GPU_PACKAGES if vllm.gpus else _CPU_PACKAGES)),
        stop_seconds=_SHUTDOWN_SECONDS + 10,
        reads={
            log_config: f"{json.dumps(_LOG_CONFIG, indent=2)}\n",
            **({template: vllm.chat_template.text()} if vllm.chat_template else {}),
        },
        abilities=dict.fromkeys(vllm.served(), _abilities(vllm)),
    )
    return replace(planned, card_needs=_card_needs(vllm), loads=loads_of(vllm))


def _card_needs(vllm: Vllm) -> tuple[CardNeeds, ...]:
    """What it needs of driver and cards. Of a `package` of somebody else's only their number is known."""
    if vllm.gpus is None:
        return ()
    parts = CardNeeds(
        what=f'vLLM "{vllm.name}", split into {vllm.parts} parts,',
        gpus=vllm.gpus,
        count=vllm.parts,
        fewer="lower `tensor_parallel_size` or `pipeline_parallel_size`",
        shared_memory=_SHARED_MEMORY if vllm.parts > 1 else 0,
    )
    if vllm.gpus.vendor != "nvidia" or vllm.package.requirements is not None:
        return (parts,)
    cuda = re.search(r"^nvidia-cuda-runtime==(\d+)", _lock(), re.MULTILINE)
    assert cuda, "the lock has no CUDA"
    driver, capability = _CUDA_NEEDS[cuda[1]]
    shipped = CardNeeds(
        what=f"vLLM {vllm.package.version}, which is built for CUDA {cuda[1]},",
        gpus=vllm.gpus,
        driver=driver,
        older="give `package` a build for an older CUDA",
        capability=capability,
        instead="take another card, llama.cpp, or a `package` of your own",
    )
    needs = [parts, shipped]
    if vllm.quantization in _NEED_AMPERE:
        instead = "leave `quantization` out, and vLLM picks a kernel that the card has"
        what = f'quantization="{vllm.quantization}"'
        needs.append(CardNeeds(what=what, gpus=vllm.gpus, capability="8.0", instead=instead))
    if vllm.dtype == "bfloat16":
        instead = 'give `dtype="half"`'
        needs.append(CardNeeds(what='dtype="bfloat16"', gpus=vllm.gpus, capability="8.0", instead=instead))
    return tuple(needs)


def _abilities(vllm: Vllm) -> Abilities:
    # Without a parser it refuses every request that has tools.
    return Abilities(tools=vllm.tool_call_parser is not None, context_size=vllm.max_model_len)


def _options(vllm: Vllm) -> list[str]:
    """The options whose values differ from vLLM's own defaults."""
    options: dict[str, object] = {
        "--runner": vllm.runner if vllm.runner != "auto" else None,
        "--quantization": vllm.quantization,
        "--dtype": vllm.dtype if vllm.dtype != "auto" else None,
        "--kv-cache-dtype": vllm.kv_cache_dtype,
        "--max-model-len": vllm.max_model_len,
        "--max-num-seqs": vllm.max_num_seqs,
        "--kv-cache-memory-bytes": vllm.kv_cache_memory_bytes,
        "--gpu-memory-utilization": f"{vllm.gpu_memory_utilization:g}" if vllm.gpu_memory_utilization else None,
        "--tensor-parallel-size": vllm.tensor_parallel_size if vllm.tensor_parallel_size > 1 else None,
        "--pipeline-parallel-size": vllm.pipeline_parallel_size if vllm.pipeline_parallel_size > 1 else None,
        "--tool-call-parser": vllm.tool_call_parser,
        "--reasoning-parser": vllm.reasoning_parser,
    }
    flags = {
        "--enable-auto-tool-choice": vllm.tool_call_parser is not None,
        "--enable-prefix-caching": vllm.enable_prefix_caching is True,
        "--no-enable-prefix-caching": vllm.enable_prefix_caching is False,
        "--enforce-eager": vllm.enforce_eager,
        "--trust-remote-code": vllm.trust_remote_code,
    }
    given = [str(part) for option, value in options.items() if value is not None for part in (option, value)]
    return [*given, *(flag for flag, wanted in flags.items() if wanted)]


def _adapters(vllm: Vllm, layout: Layout) -> list[str]:
    """As JSON: in the form `name=path`, a comma would not be part of the path."""
    if not vllm.lora_modules:
        return []
    modules = [{"name": each.name, "path": model_path(each.model, layout)} for each in vllm.lora_modules]
    places = ["--max-loras", str(vllm.adapter_places)] if vllm.adapter_places > 1 else []
    rank = ["--max-lora-rank", str(vllm.max_lora_rank)] if vllm.max_lora_rank else []
    return ["--enable-lora", *places, *rank, "--lora-modules", *(json.dumps(module) for module in modules)]


def _lock() -> str:
    return read_lock("vllm", "vllm-0.32.0")


_FOR_PROCESSORS = (2500 * MEGABYTE, 3000 * MEGABYTE)
"""Bytes of the environment, and of the cache while it is made: as measured."""
_FOR_CARDS = (10_000 * MEGABYTE, 6000 * MEGABYTE)
"""The same with PyTorch and NVIDIA's libraries for CUDA: an estimate, not measured."""


def _environment(package: VllmPackage) -> Install:
    requirements = package.requirements.text() if package.requirements else _lock()
    disk, work_disk = _FOR_PROCESSORS if package.version.endswith("+cpu") else _FOR_CARDS
    return python_env(
        package.name,
        "vllm",
        package.version,
        requirements=requirements,
        indexes=Indexes(
            package.index_url,
            tuple(package.extra_index_urls),
            tuple(package.find_links),
        ),
        disk=disk,
        work_disk=work_disk,
    )
