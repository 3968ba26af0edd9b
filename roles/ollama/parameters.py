"""The parameters of a model, as a Modelfile has them.

Ollama 0.32.15 takes any name and any value when a model is made. A name that it does not know it then ignores, and with
a value of another type each request for the model is answered 500. Source: its `api/types.go` and `docs/modelfile.mdx`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roles.options.base import nearest

Parameter = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class _Number:
    """A number from `least` to `most`; `meaning`: what `least` stands for, if it is no quantity."""

    whole: bool
    least: float | None = None
    most: float | None = None
    meaning: str = ""

    def problem(self, value: Parameter) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return f"is a {'whole ' if self.whole else ''}number, not {_shown(value)}"
        if not -(2**63) <= value < 2**63:
            return "is no number that Ollama can read"
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            bound = f"at least {self.least:g}{f' ({self.meaning})' if self.meaning else ''}"
            return f"is {bound if self.most is None else f'from {self.least:g} to {self.most:g}'}, not {value:g}"
        return None


def _whole(least: float | None = None, meaning: str = "") -> _Number:
    return _Number(True, least, None, meaning)


def _real(least: float, most: float | None = None) -> _Number:
    return _Number(False, least, most)


_NUMBERS: Mapping[str, _Number] = {
    "num_keep": _whole(-1, "-1 = all"),
    "seed": _whole(-1, "-1 = another one each time"),
    "num_predict": _whole(-2, "-1 = no limit, -2 = until the context is full"),
    "draft_num_predict": _whole(0),
    "top_k": _whole(0),
    "top_p": _real(0, 1),
    "min_p": _real(0, 1),
    "typical_p": _real(0, 1),
    "repeat_last_n": _whole(-1, "-1 = the context's length"),
    "temperature": _real(0),
    "repeat_penalty": _real(0),
    "presence_penalty": _real(-2, 2),
    "frequency_penalty": _real(-2, 2),
    "num_ctx": _whole(1),
    "num_batch": _whole(1),
    "num_gpu": _whole(-1, "-1 = as many layers as fit"),
    "main_gpu": _whole(0),
    "num_thread": _whole(0),
}
_SWITCHES = ("use_mmap",)
_LISTS = ("stop",)
_KNOWN = (*_NUMBERS, *_SWITCHES, *_LISTS)
_GONE = (
    "penalize_newline",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mlock",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "tfs_z",
    "numa",
)


def check_parameters(given: Mapping[str, Parameter]) -> None:
    """Check names, types and ranges.

    Raises:
        ValueError: one would not do what it says.
    """
    for name, value in given.items():
        if name in _GONE:
            raise ValueError(f"Ollama no longer reads `{name}`; remove it")
        if name not in _KNOWN:
            raise ValueError(f"Ollama has no parameter `{name}`{nearest(name, _KNOWN) or _where_it_belongs(name)}")
        if problem := _problem(name, value):
            raise ValueError(f"`{name}` {problem}")


def _where_it_belongs(name: str) -> str:
    if name in ("template", "system"):
        return f"; that is the option `{name}` of the model"
    return f"; it knows {', '.join(_KNOWN)}"


def _problem(name: str, value: Parameter) -> str | None:
    if name in _SWITCHES:
        return None if isinstance(value, bool) else f"is True or False, not {_shown(value)}"
    if name in _LISTS:
        # A tuple by now: what was written as a list.
        if not isinstance(value, tuple):
            return f"is a list of texts, not {_shown(value)}; write [{_shown(value)}]"
        return "has an empty text, which every answer contains; remove it" if "" in value else None
    return _NUMBERS[name].problem(value)


def _shown(value: Parameter) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)
