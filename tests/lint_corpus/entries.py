"""The format of an entry, and all entries."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeAlias

FOLDER = Path(__file__).parent
TABLE = FOLDER / "started.json"

KEY = "sk-Tq9f3LmX7vB2cN8d"
"""A master key that LiteLLM's check at the start takes."""

_BASE: Mapping[str, str] = {
    "model_list": (
        "model_list:\n"
        '  - {model_name: m, litellm_params: {model: openai/x, api_base: "http://127.0.0.1:9/v1", api_key: none}}\n'
    ),
    "litellm_settings": "litellm_settings: {request_timeout: 60}\n",
    "general_settings": "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}\n",
}
"""What an entry gets unless it has the section itself."""

Outcome: TypeAlias = Literal["starts", "drops", "stops"]
"""`stops`: LiteLLM does not start. `drops`: it starts without something that the file declares."""


@dataclass(frozen=True)
class Entry:
    """One configuration.

    Attributes:
        text: its sections; those of `_BASE` are added unless they are there.
        environment: variables beside LITELLM_MASTER_KEY; None for one = it is not set.
        breaks: what does not work later although the start says nothing: the lint must report an error.
        files: name → text of files beside it.
        whole: the text is the whole file: nothing is added.
    """

    text: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    breaks: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    @property
    def document(self) -> str:
        """The whole file."""
        if self.whole:
            return self.text
        own = set(re.findall(r"^([A-Za-z_]+):", self.text, re.MULTILINE))
        return "".join(text for section, text in _BASE.items() if section not in own) + self.text.strip("\n") + "\n"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of LiteLLM's process, as far as the entry is concerned."""
        given: dict[str, str | None] = {"LITELLM_MASTER_KEY": KEY, **self.environment}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def digest(self) -> str:
        """Changes with anything that LiteLLM gets of it."""
        parts = json.dumps([self.document, self.variables, dict(self.files)], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:12]


MODULES = (
    "administration",
    "caches",
    "callbacks",
    "guardrails",
    "includes",
    "mcp",
    "models",
    "providers",
    "routing",
    "sections",
    "settings",
    "shares",
    "variables",
)
"""Modules of this package; each has `ENTRIES`: name → entry (or its text)."""


@cache
def all_entries() -> Mapping[str, Entry]:
    """`module/name` → entry."""
    found: dict[str, Entry] = {}
    for module in MODULES:
        entries: Mapping[str, Entry | str] = import_module(f"tests.lint_corpus.{module}").ENTRIES
        for name, entry in entries.items():
            found[f"{module}/{name}"] = Entry(entry) if isinstance(entry, str) else entry
    return found
