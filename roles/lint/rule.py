"""The definition of a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from roles.lint.config import Config
from roles.lint.document import Path, Place
from roles.lint.finding import Severity


class Found(NamedTuple):
    """One mistake: its place, the message, and a fix if there is a better one than the rule's general fix.

    `where` is a path, or a place if there is no path to it. A fix that takes time to find is a function: it is called
    for the findings that are shown.
    """

    where: Path | Place
    message: str
    fix: str | Callable[[], str] = ""


class Check(Protocol):
    """The function that looks for the mistake."""

    __name__: str

    def __call__(self, config: Config, /) -> Iterable[Found]: ...


@dataclass(frozen=True)
class Rule:
    """One requirement on a configuration.

    Attributes:
        what: what it finds, in one line.
        fix: how to fix it.
        source: how it is known: tried with LiteLLM, or read in its source.
        versions: which releases differ.
    """

    id: str
    severity: Severity
    what: str
    fix: str
    source: str
    versions: str
    check: Check


def rule(severity: Severity, *, fix: str, source: str, versions: str = "all") -> Callable[[Check], Rule]:
    """Makes a rule from its check: the function's name is its id, its docstring states what it finds."""

    def make(check: Check) -> Rule:
        name = check.__name__.replace("_", "-")
        return Rule(name, severity, " ".join((check.__doc__ or "").split()), fix, source, versions, check)

    return make
