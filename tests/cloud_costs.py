"""What a day's verification of clouds costs, by this project's list of prices and by LiteLLM's own account.

Run it in an environment that holds the pinned LiteLLM, as `tests/litellm_keys.py`. Nobody is asked: LiteLLM counts the
tokens of the verifier's question, and an answer is taken to be as long as the verifier lets it be.

    scratch/bin/python -m tests.cloud_costs
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roles.contract.modes import MODES

SMALL: Mapping[str, str] = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash-lite"}
"""Vendor → a small model of it: one deployment each."""
MOST_TOKENS = 64
"""Of an answer: `max_tokens` of a probe that says nothing else."""
REQUESTS = 2
"""A day, of each deployment: one by its id, and one by the name of its route."""
PROMPT_TOKENS = 20
"""Of the verifier's question, at most, with what an API adds."""
_PRICES = Path(__file__).parent.parent / "roles/external/vendors.json"


def computed() -> float:
    """US dollars a day, if every answer is as long as it may be."""
    known = json.loads(_PRICES.read_text())["vendors"]
    prices = [known[vendor]["models"][model][1:] for vendor, model in SMALL.items()]
    usd: float = sum(PROMPT_TOKENS * price_in + MOST_TOKENS * price_out for price_in, price_out in prices)
    return REQUESTS * usd / 1_000_000


def accounted() -> Iterator[tuple[str, int, int, float]]:
    """Of one request to each: the model, tokens of question and answer, and US dollars, as LiteLLM counts them."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = importlib.import_module("litellm")
    question = MODES["chat"].body(MODES["chat"].prompt, ())["messages"]
    for vendor, model in SMALL.items():
        name = f"{vendor}/{model}"
        asked = litellm.token_counter(model=name, messages=question)
        usd = sum(litellm.cost_per_token(model=name, prompt_tokens=asked, completion_tokens=MOST_TOKENS))
        yield model, asked, MOST_TOKENS, usd


if __name__ == "__main__":
    total = 0.0
    for model, tokens_in, tokens_out, usd in accounted():
        total += REQUESTS * usd
        sys.stdout.write(f"{model}: {tokens_in} + {tokens_out} tokens, {usd:.7f} US dollars a request\n")
    sys.stdout.write(f"a day: {total:.6f} US dollars by LiteLLM, {computed():.6f} computed\n")
