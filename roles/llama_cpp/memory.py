"""What llama.cpp's servers load, for the memory plan."""

from __future__ import annotations

from dataclasses import replace

from roles.fit.llama_cpp import Settings
from roles.llama_cpp.options import LlamaCppPython, LlamaServer
from roles.options import GgufSource, HostFile
from roles.plan import Load

PLACING = {
    "-cmoe", "--cpu-moe", "-ot", "--override-tensor", "--rpc", "-fit", "--fit", "-fitt", "--fit-target", "-fitc",
    "--fit-ctx", "--override-kv", "--sleep-idle-seconds",
}  # fmt: skip
"""Arguments that may put weights elsewhere than the options say, or (the last one) unload them."""
_BATCH = 512
"""Tokens that both servers compute together unless an option says otherwise."""
_PROMPTS = 8192
"""MiB of prompts that llama-server caches unless an option says otherwise."""
_NO_ARITHMETIC = "its memory has no arithmetic here"


def places_itself(server: LlamaServer) -> bool:
    """Whether arguments put weights elsewhere than the options say."""
    return any(argument.split("=", 1)[0] in PLACING for argument in server.extra_arguments)


def loads_of_server(server: LlamaServer) -> tuple[Load, ...]:
    """Its model, and what it loads beside it."""
    placed = "its `extra_arguments` say where its weights go" if places_itself(server) else ""
    settings = Settings(
        context=server.context_size,
        parallel=server.parallel,
        unified=server.kv_unified is True,
        batch=server.ubatch_size or _BATCH,
        flash_attention=server.flash_attention != "off",
        key_type=server.cache_type_k or "f16",
        value_type=server.cache_type_v or "f16",
        embeddings=server.embeddings or server.reranking,
        gpu_layers=server.gpu_layers,
        cpu_experts=server.n_cpu_moe or 0,
    )
    name, grows = server.served_name, _prompts(server)
    found = [Load(server, name, server.model, settings, server.cards, unplanned=placed, grows=grows)]
    if server.draft_model:
        # A draft is started as its server is, but for what has options of its own.
        drafts = replace(
            settings, key_type="f16", value_type="f16", embeddings=False, gpu_layers=server.draft_gpu_layers,
            cpu_experts=0,
        )  # fmt: skip
        name = f"draft {_file_name(server.draft_model)}"
        found.append(Load(server, name, server.draft_model, drafts, server.cards, unplanned=placed))
    beside: list[tuple[str, GgufSource]] = [("adapter", adapter) for adapter in server.lora]
    beside += [("projector", server.mmproj)] if server.mmproj else []
    found += [
        Load(server, f"{kind} {_file_name(source)}", source, settings, server.cards, unplanned=_NO_ARITHMETIC)
        for kind, source in beside
    ]
    return tuple(found)


def _prompts(server: LlamaServer) -> int | None:
    """Bytes that its cache of prompts may grow to; None = any number."""
    most = _PROMPTS if server.cache_ram is None else server.cache_ram
    return None if most < 0 else most << 20


def loads_of_python(server: LlamaCppPython) -> tuple[Load, ...]:
    """Its models, of which it keeps one loaded."""
    found = []
    for model in server.declared:
        settings = Settings(
            context=model.context_size,
            batch=min(model.batch_size or _BATCH, _BATCH),
            flash_attention=model.flash_attention,
            key_type=model.cache_type_k or "f16",
            value_type=model.cache_type_v or "f16",
            embeddings=model.embedding,
            gpu_layers=None if model.gpu_layers in (None, -1) else model.gpu_layers,
        )
        found.append(Load(server, model.served_name, model.model, settings, server.cards, at_once=1))
        if model.mmproj:
            name = f"projector {_file_name(model.mmproj)}"
            found.append(Load(server, name, model.mmproj, settings, server.cards, unplanned=_NO_ARITHMETIC))
    return tuple(found)


def _file_name(source: GgufSource) -> str:
    return (source.path if isinstance(source, HostFile) else source.filename).rsplit("/", 1)[-1]
