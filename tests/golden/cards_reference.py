"""The page of reference boxes and cards, with the tables that the memory plan makes."""

from __future__ import annotations

from collections.abc import Mapping

from roles.fit.cards import DRIVERS_SHARE
from roles.fit.facts import ModelFacts
from roles.fit.llama_cpp import Settings
from roles.fit.table import largest_context, size_of
from roles.fit_inventory import described
from roles.lock import lock_file, locked_facts, read_lock_file
from roles.plan import not_known
from roles.rooms import plan_of
from tests.inventories import INVENTORY, load_stack
from tests.planned_models import LLAMA_3_1_8B_Q4, QWEN2_5_1_5B_Q4, QWEN2_5_7B_Q4

_BOXES: Mapping[str, str] = {
    "gpu-16gb": "One card of 16 GB: Ollama keeps one model at a time, beside vLLM and a small llama.cpp server.",
    "gpu-box": "One card of 24 GB: the reference stack, with both of Ollama's models loaded.",
    "gpu-48gb": "One card of 48 GB: longer contexts, and a model of 7B in llama.cpp too.",
    "cpu-box": "No card: 16 GB of main memory are enough.",
}
_MODELS: Mapping[str, ModelFacts] = {
    "Qwen2.5 1.5B, Q4_K_M": QWEN2_5_1_5B_Q4,
    "Qwen2.5 7B (and Coder), Q4_K_M": QWEN2_5_7B_Q4,
    "Llama 3.1 8B, Q4_K_M": LLAMA_3_1_8B_Q4,
}
_CARDS = ("8G", "12G", "16G", "24G", "48G")
_HEAD = """# Which model on which card

By the memory plan ([memory.md](memory.md)) the inventories in `inventory/` fit the cards that they are for. Each table
is what `python deploys/fit.py INVENTORY` prints from the lock beside the inventory. No figure on this page was measured
on a card. `make golden` writes this page.

The locks were made from publications: commits, digests and sizes of files, and facts of models that were computed from
sizes and shapes. Not published, and so open in them: the layers of Ollama's models, and the files of
`Qwen/Qwen2.5-Coder-7B-Instruct-AWQ`. `preflight`, `prepare` and `full` say so, and need neither: what is fetched is
held against the digest or the commit. `python deploys/lock.py INVENTORY` fills them in, and reads the facts from the
models themselves.

A card may have less than its name says: some of 48 GB show 46068 MiB with ECC. Give `Gpus(memory=…)` what `nvidia-smi`
shows as the card's total.
"""
_MODELS_HEAD = """
## One model alone

The largest context in tokens that llama.cpp has room for on a card with nothing else on it, for one request at a time,
with flash attention; after the stroke with a KV cache of the type q8_0. At most what the model was trained for.
"""


def cards_page() -> str:
    boxes = [
        f"\n## `inventory/{name}.py`\n\n{words}\n\n" + "".join(f"    {line}\n" for line in _lines(name))
        for name, words in _BOXES.items()
    ]
    return "".join([_HEAD, *boxes, _MODELS_HEAD, "\n", *(f"{line}\n" for line in _models())])


def _lines(name: str) -> list[str]:
    lock = read_lock_file(lock_file(INVENTORY / f"{name}.py"))
    plan = plan_of(load_stack(f"{name}.py", name), known=locked_facts(lock, not_known))
    return [line for text in described(plan) for line in text.split("\n")]


def _models() -> list[str]:
    rows = [["model", *(card.replace("G", " GB") for card in _CARDS)], ["---"] * (1 + len(_CARDS))]
    for name, facts in _MODELS.items():
        rows.append([name, *(_contexts(facts, card) for card in _CARDS)])
    return ["| " + " | ".join(row) + " |" for row in rows]


def _contexts(facts: ModelFacts, card: str) -> str:
    room = int(size_of(card) * (1 - DRIVERS_SHARE))
    return " / ".join(
        str(largest_context(facts, Settings(key_type=kind, value_type=kind), room, with_card=True) or "none")
        for kind in ("f16", "q8_0")
    )
