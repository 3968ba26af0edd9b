"""What Ollama loads, for the memory plan. It computes with llama.cpp's formulas, a process for each loaded model.

Sources, in Ollama 0.32: `OLLAMA_NUM_PARALLEL`, `OLLAMA_MAX_LOADED_MODELS` and `OLLAMA_CONTEXT_LENGTH` in
`envconfig/config.go`; the defaults of the last two in `server/sched.go` and `server/routes.go`.
"""

from __future__ import annotations

from roles.fit.llama_cpp import Settings
from roles.fit.table import size_of
from roles.ollama.options import Ollama, OllamaModel
from roles.plan import Load

_CONTEXTS = ((47 << 30, 262_144), (23 << 30, 32_768), (0, 4096))
"""Bytes of all cards together, at least → tokens of context where nobody says how many."""
_MODELS_A_CARD = 3


def loads_of(ollama: Ollama) -> tuple[Load, ...]:
    """Its models, of which it keeps as many loaded as it may."""
    cards = max(1, len(ollama.gpus.uuids)) if ollama.gpus else 1
    at_once = ollama.max_loaded_models or _MODELS_A_CARD * cards
    return tuple(
        Load(
            ollama,
            model.name,
            model.gguf or model.name,
            _settings(ollama, model, cards),
            ollama.gpus,
            at_once=at_once,
        )
        for model in ollama.declared
    )


def _settings(ollama: Ollama, model: OllamaModel, cards: int) -> Settings:
    parallel, cache_type = ollama.num_parallel or 1, ollama.kv_cache_type or "f16"
    own = model.parameters.get("num_ctx")
    context = own if isinstance(own, int) else ollama.context_length or _default_context(ollama, cards)
    return Settings(
        context=context * parallel,
        parallel=parallel,
        flash_attention=ollama.flash_attention is not False,
        key_type=cache_type,
        value_type=cache_type,
    )


def _default_context(ollama: Ollama, cards: int) -> int:
    memory = cards * size_of(ollama.gpus.memory) if ollama.gpus and ollama.gpus.memory else 0
    return next(tokens for least, tokens in _CONTEXTS if memory >= least)
