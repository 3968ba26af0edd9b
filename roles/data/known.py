"""Every value that a run takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from roles.data.forms import Form, identifier, names, one_of, seconds, word, yes_or_no
from roles.options import OptionsError

T = TypeVar("T")
More: TypeAlias = Literal["apis", "faults", "speed"]
"""What a verification does besides its usual checks: asks as client programs ask; really stops backends; measures how
fast routes answer."""

_ON_HOSTS = (
    "clients", "full", "history", "preflight", "prepare", "prune", "reboot", "rollback", "trace", "unlock", "verify"
)  # fmt: skip
_DEPLOYS = (*_ON_HOSTS, "lock")
"""Names of the files in `deploys/`: those that need hosts, and all."""
_LARGEST_SHOWN = 10**20
_LONGEST_SHOWN = 60
"""Characters of a refused value in its message."""


@dataclass(frozen=True, kw_only=True)
class Value(Generic[T]):
    """A value of a run.

    Attributes:
        form: what it may be.
        otherwise: what holds if it is not given, for people.
        meaning: what it does, for people.
        example: as the command line has it.
        deploys: names of the files in `deploys/` that read it.
    """

    name: str
    form: Form[T]
    otherwise: str
    meaning: str
    example: str
    deploys: Sequence[str]

    @property
    def readers(self) -> str:
        """Who reads it, for people."""
        return "every deploy" if self.deploys == _ON_HOSTS else ", ".join(f"deploys/{name}.py" for name in self.deploys)

    def read(self, given: object) -> T:
        """
        Args:
            given: the text of the command line, or the inventory's value of that name.

        Raises:
            OptionsError: it is none of its form.
        """
        try:
            return self.form.read(given)
        except ValueError:
            raise OptionsError(
                f"`{self.name}` is to be {self.form.words}, not {_shown(given)}; for example --data {self.example}"
            ) from None


def _shown(given: object) -> str:
    """A given value in a message: a plain one, shortened; of another its kind alone."""
    if isinstance(given, int) and abs(given) > _LARGEST_SHOWN:
        return "a number of that size"
    if not isinstance(given, str | int | float | None):
        return f"a {type(given).__name__}"
    shown = ascii(given) if isinstance(given, str) and not given.isprintable() else repr(given)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


GENERATION = Value(
    name="generation",
    form=word("the name of a generation, or its beginning"),
    otherwise="the last one before the active one that passed",
    meaning="The generation to go back to; `deploys/history.py` lists them, and `none` is before the first.",
    example="generation=1f0c",
    deploys=("rollback",),
)
ROTATE = Value(
    name="rotate",
    form=word("the name of a client"),
    otherwise="no key is changed",
    meaning="The client that gets a new key; its former one is refused from then on.",
    example="rotate=ada",
    deploys=("clients",),
)
REPORT = Value(
    name="report",
    form=word("the path of a folder"),
    otherwise="no files are written",
    meaning="Folder of this machine for the verdict in all its forms, in a folder of the host's name.",
    example="report=reports",
    deploys=("verify",),
)
VERIFY: Value[More] = Value(
    name="verify",
    form=one_of("apis", "faults", "speed"),
    otherwise="the usual checks alone",
    meaning="`apis`: also ask each route as client programs do, and with their mistakes. `faults`: really stop "
    "backends, one route after the other, to see fallbacks answer, which clients notice. "
    "`speed`: measure how fast each route answers.",
    example="verify=apis",
    deploys=("verify",),
)
AT_ONCE = Value(
    name="at_once",
    form=yes_or_no(),
    otherwise="no",
    meaning="Whether all hosts reboot at the same time. Otherwise one after the other, and none after one that did not "
    "come back well. In a deploy: whether hosts without a gateway are switched to their generations at the same time; "
    "otherwise one after the other, so that others answer meanwhile.",
    example="at_once=yes",
    deploys=("reboot", "full"),
)
TAKE_OVER = Value(
    name="take_over",
    form=names(),
    otherwise="what is in the way ends the run before its first change",
    meaning="What is on the host, is not ours and is in the way, and is moved aside, by the names that "
    "`deploys/preflight.py` prints. A rollback to before gives it back.",
    example="take_over=ollama.service",
    deploys=("full", "preflight", "prepare"),
)
OVERSIZED = Value(
    name="oversized",
    form=yes_or_no(),
    otherwise="no",
    meaning="Whether models may be deployed that by the memory plan do not fit on the cards or into main memory. May "
    "stand in the host's data too.",
    example="oversized=yes",
    deploys=("full", "preflight", "prepare"),
)
UNLOCKED = Value(
    name="unlocked",
    form=yes_or_no(),
    otherwise="no",
    meaning="Whether what moves, such as a branch, may be deployed without an entry in the inventory's lock. May stand "
    "in the host's data too.",
    example="unlocked=yes",
    deploys=("full", "preflight", "prepare"),
)
UPGRADE = Value(
    name="upgrade",
    form=word("the name of what is to move, or all"),
    otherwise="what is locked stays",
    meaning="What moves to what it means now: a repository, an Ollama model, a file; or `all` that may move.",
    example="upgrade=llama3.1:latest",
    deploys=("lock",),
)
REQUEST = Value(
    name="request",
    form=identifier("the id of a request, which its answer has in `x-request-id`"),
    otherwise="the run ends with a message",
    meaning="The request whose way through the host is shown. Errors have its id in their body too, as `request_id`.",
    example="request=0b0c7f5e-8f1f-4a53-9d53-3d1fb7d3a2f1",
    deploys=("trace",),
)
SSH_SILENCE = Value(
    name="ssh_silence",
    form=seconds(1, 86400),
    otherwise="60",
    meaning="Seconds after which a host that sends nothing is given up. May stand in the host's data too.",
    example="ssh_silence=120",
    deploys=_ON_HOSTS,
)

VALUES: Mapping[str, Value[str] | Value[More] | Value[bool] | Value[float] | Value[tuple[str, ...]]] = {
    value.name: value
    for value in (
        GENERATION,
        OVERSIZED,
        ROTATE,
        REPORT,
        REQUEST,
        TAKE_OVER,
        UNLOCKED,
        UPGRADE,
        VERIFY,
        AT_ONCE,
        SSH_SILENCE,
    )
}


def of_deploys(files: Iterable[str]) -> frozenset[str]:
    """The names that a run of these files of `deploys/` reads; those of all, where one is not of this project."""
    names = set(files)
    if not names or not names <= set(_DEPLOYS):
        return frozenset(VALUES)
    return frozenset(value.name for value in VALUES.values() if names & set(value.deploys))
