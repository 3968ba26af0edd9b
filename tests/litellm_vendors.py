"""Makes `roles/external/vendors.json`: the clouds that an installed LiteLLM knows by name, with what each needs, its
models and their list prices.

Run it as `tests/litellm_keys.py`, in an environment that holds the pinned LiteLLM. Nobody is asked:

    scratch/bin/python -m tests.litellm_vendors > roles/external/vendors.json

A vendor is taken if the release itself says that a key is all that it needs (`validate_environment`) and at which
address it is (`get_llm_provider`), and if its list of prices has a model of it. The others here need more, or their
address is in no table of the release.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

_ELSEWHERE: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "azure": "",
    "bedrock": "https://bedrock-runtime.{region}.amazonaws.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Vendors whose address is in the release's code alone; empty = each customer has another."""
_OLLAMA_CLOUD = "ollama_cloud"
"""Ollama's own servers are no provider of LiteLLM: they speak as any Ollama does."""
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"bedrock": ("bedrock", "bedrock_converse")}
"""Vendor → what the list of prices calls it, if not by its own name."""
_NOT = ("text-completion-codestral", "text-completion-inception")
"""Not for chats."""
_ASK_AT_ONCE = ("chatgpt", "github_copilot")
"""LiteLLM begins to sign in when it only hears their names."""
_MODES = ("chat", "embedding")


def vendors() -> dict[str, Any]:
    """What the file holds."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    for name in [name for name in os.environ if name.endswith(("_KEY", "_API_BASE", "_TOKEN", "_VERSION"))]:
        del os.environ[name]
    litellm = importlib.import_module("litellm")
    found: dict[str, Any] = {}
    for name in sorted({str(getattr(each, "value", each)) for each in litellm.provider_list} - {*_ASK_AT_ONCE}):
        missing = _missing(litellm, name)
        if name in _ELSEWHERE:
            address = _ELSEWHERE[name]
        elif len(missing) == 1 and missing[0].endswith("_API_KEY") and name not in _NOT:
            address = litellm.get_llm_provider(f"{name}/any", api_key="none")[3] or ""
        else:
            continue
        models = dict(_models(litellm, name))
        if name in _ELSEWHERE or (address and models):
            found[name] = {"prefix": name, "address": address.rstrip("/"), "models": models}
    cloud = {name.removesuffix("-cloud"): each for name, each in _models(litellm, "ollama") if name.endswith("-cloud")}
    found[_OLLAMA_CLOUD] = {"prefix": "ollama_chat", "address": "https://ollama.com", "models": cloud}
    return {
        "source": f"litellm {version('litellm')}, by tests/litellm_vendors.py",
        "version": version("litellm"),
        "bedrock_regions": sorted(litellm.AmazonBedrockGlobalConfig().get_all_regions()),
        "vendors": dict(sorted(found.items())),
    }


def _missing(litellm: Any, provider: str) -> list[str]:
    """The variables that the release wants for it."""
    return list(litellm.validate_environment(model=f"{provider}/any")["missing_keys"])


def _models(litellm: Any, provider: str) -> Iterator[tuple[str, list[Any]]]:
    """Name behind the prefix → mode, and US dollars for a million tokens of requests and answers; none = no price."""
    for name, entry in sorted(litellm.model_cost.items()):
        bare = name.removeprefix(f"{provider}/")
        if entry.get("litellm_provider") in _OTHER_NAMES.get(provider, (provider,)) and entry.get("mode") in _MODES:
            # `eu/gpt-4o`, and `us-west-2/1-month-commitment/…` of Bedrock: other prices of the same model.
            if provider in ("azure", "bedrock") and "/" in bare:
                continue
            prices = [_of_a_million(entry.get(f"{kind}_cost_per_token")) for kind in ("input", "output")]
            if prices[1] is None and entry["mode"] == "embedding":
                prices[1] = 0.0
            yield bare, [entry["mode"], *prices]


def _of_a_million(price: float | None) -> float | None:
    return None if price is None else float(f"{price * 1_000_000:.9g}")


def _text(found: Mapping[str, Any]) -> str:
    """JSON with a line for each model, so that the difference of two releases can be read."""
    return re.sub(
        r"\[\s+([^\[\]{}]*?)\s+\]", lambda list_: f"[{' '.join(list_[1].split())}]", json.dumps(found, indent=1)
    )


if __name__ == "__main__":
    sys.stdout.write(f"{_text(vendors())}\n")
