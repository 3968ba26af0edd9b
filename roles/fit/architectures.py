"""What llama.cpp knows of an architecture that its GGUF files do not say.

From `load_swa_pattern(…)` in `src/models/` and `llama_model::create_memory` of llama.cpp, in the tree that
llama-cpp-python 0.3.36 carries. An architecture that is in no list here is one whose cache we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLAIN = frozenset(
    {"llama", "qwen2", "qwen2vl", "qwen2moe", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "phi3", "granite",
     "mistral3", "granitemoe", "starcoder2", "stablelm", "internlm2", "command-r", "glm4", "glm4moe", "smollm3",
     "gemma", "olmoe"}
)  # fmt: skip
"""Each layer caches all tokens. A window that a file names is not used."""


@dataclass(frozen=True)
class Windows:
    """One layer of `every` attends to all tokens, the `first` or the last of them; the others have a sliding window.

    Attributes:
        tokens: the window, where a file does not say it; 0 = then there is none.
    """

    every: int
    first: bool = False
    tokens: int = 0


WINDOWED: Mapping[str, Windows] = {
    "gemma2": Windows(2, tokens=4096),
    "gemma3": Windows(6),
    "gemma3n": Windows(5),
    "gpt-oss": Windows(2),
    "cohere2": Windows(4),
    "cohere2moe": Windows(4, first=True),
    "afmoe": Windows(4),
    "exaone4": Windows(4, tokens=4096),
    "exaone-moe": Windows(4, tokens=128),
    "olmo2": Windows(4),
    "smallthinker": Windows(4, first=True),
}

LATENT = frozenset({"deepseek2"})
"""Multi-head latent attention: one vector of each token is key and value of all heads."""

WITHOUT_CACHE = frozenset(
    {"bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "modern-bert",
     "gemma-embedding"}
)  # fmt: skip
"""Encoders: they compute a text at once and keep nothing."""


def is_known(architecture: str) -> bool:
    return architecture in PLAIN | WINDOWED.keys() | LATENT | WITHOUT_CACHE
