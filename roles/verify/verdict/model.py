"""What the verifier found, as plain data: one record a check."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from roles.verify.verdict.deployed import Deployed
from roles.verify.verdict.events import Event

Status: TypeAlias = Literal["pass", "fail", "unknown"]

SCHEMA = 3
"""Version of the JSON form. A change that an older reader would misread gets the next number."""

_WITHOUT_CODES = 2
"""The version before, whose checks have no code: hosts keep verdicts of it, and it is read too."""

SCHEMA_NAME = f"urn:ai-unified-backend:verdict:{SCHEMA}"
"""The `$id` of `docs/verdict.schema.json`, which describes that form."""

HOST = "host"
"""Group of the checks that are about the host, and not about what is deployed on it."""

_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON leaves as it is, and a terminal takes for an order."""

_EXIT_STATUS: Mapping[Status, int] = {"pass": 0, "fail": 1, "unknown": 2}


@dataclass(frozen=True)
class Cause:
    """Why a check may fail, and the command that shows more."""

    cause: str
    look: str


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        id: stable and unique in a verdict, e.g. `unit/litellm@a.service/port`: two verdicts are compared by it.
        subject: what it is about, e.g. `litellm@a.service`.
        claim: what should hold, e.g. `owns its port`.
        expected: what was expected, for people.
        seen: what was seen instead, specific enough to act on.
        ok: whether the claim holds; None = it could not be checked, and `seen` says why.
        seconds: how long the check took.
        causes: of a check that does not pass, the likeliest first.
        code: what kind of failure it is, one of `codes.Code`; None = it passes, or could not be made for a reason that
            has none. Another version may know others.
    """

    id: str
    subject: str
    claim: str
    expected: str
    seen: str
    ok: bool | None
    seconds: float
    causes: tuple[Cause, ...] = ()
    code: str | None = None

    @property
    def group(self) -> str:
        """The first part of the id: `host`, `unit`, `install`, `model`, `gateway` or `route`."""
        return self.id.partition("/")[0]

    @property
    def status(self) -> Status:
        if self.ok is None:
            return "unknown"
        return "pass" if self.ok else "fail"


@dataclass(frozen=True)
class Verdict:
    """All checks of one run on one host.

    Attributes:
        time: when the run began: ISO 8601, UTC.
        boot_id: the kernel's name for this boot: it tells a verification after a reboot from one before it.
        generation: the generation that was found deployed.
        seconds: how long the whole run took, waiting for services included.
        deployment: what the checks are about; None = it was not described.
        events: what last became of the host's generations, the oldest first.
    """

    host: str
    time: str
    boot_id: str
    generation: str
    seconds: float
    checks: tuple[Check, ...]
    deployment: Deployed | None = None
    events: tuple[Event, ...] = ()
    schema: int = SCHEMA

    @property
    def status(self) -> Status:
        """`fail` beats `unknown` beats `pass`. A verdict without checks verifies nothing: `unknown`."""
        found = self.count
        if found["fail"]:
            return "fail"
        return "unknown" if found["unknown"] or not self.checks else "pass"

    def of_the_stack(self) -> Verdict:
        """The same without the checks of the host itself: a full disk or a wrong clock is nothing that an older
        configuration would fix."""
        return replace(self, checks=tuple(check for check in self.checks if check.group != HOST))

    @property
    def count(self) -> Counter[Status]:
        """How many checks have which status."""
        return Counter(check.status for check in self.checks)

    @property
    def exit_status(self) -> int:
        return _EXIT_STATUS[self.status]

    @property
    def summary(self) -> str:
        """One line for people, e.g. `2 of 18 checks fail. host gpu-box, generation 1f0c…, boot 6e1b…`."""
        return f"{self.outcome}. host {self.host}, generation {self.generation}, boot {self.boot_id}"

    @property
    def outcome(self) -> str:
        """How many checks hold, e.g. `2 of 18 checks fail`."""
        found, total = self.count, len(self.checks)
        parts = [f"{found['fail']} of {total} checks fail"] if found["fail"] else []
        if found["unknown"]:
            parts.append(f"{found['unknown']} of {total} checks could not be made")
        return ", ".join(parts) or f"{found['pass']} of {total} checks hold"

    def to_json(self) -> str:
        """One JSON object on one line. `status` is in it for readers that do not want to count."""
        document = {"$schema": SCHEMA_NAME, **asdict(self), "status": self.status}
        # Escaped is what drives a terminal, or cannot be written: it is the same JSON.
        return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(document, ensure_ascii=False))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The verdict that `to_json` wrote, of this version or the one before.

        Raises:
            ValueError: when it is no verdict of this schema or the one before.
        """
        try:
            document = json.loads(text)
            schema = document["schema"]
            if schema not in (SCHEMA, _WITHOUT_CODES):
                raise ValueError(f"a verdict of schema {schema!r}; this program reads {SCHEMA} and {_WITHOUT_CODES}")
            datetime.fromisoformat(document["time"])
            return cls(
                host=str(document["host"]),
                time=str(document["time"]),
                boot_id=str(document["boot_id"]),
                generation=str(document["generation"]),
                seconds=float(document["seconds"]),
                checks=tuple(_check(check, schema) for check in document["checks"]),
                deployment=Deployed.from_document(document["deployment"]) if document["deployment"] else None,
                events=tuple(Event(**_texts(event)) for event in document["events"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise ValueError(f"not a verdict ({error!r})") from None


def _check(document: Mapping[str, Any], schema: int) -> Check:
    """Raises `TypeError` or `KeyError` where it is none: who shows it takes its values for what they should be."""
    texts = {key: value for key, value in document.items() if key not in ("ok", "seconds", "causes", "code")}
    code = document["code"] if schema == SCHEMA else None
    if code is not None and not isinstance(code, str):
        raise TypeError(f"`code` is {code!r}")
    if document["ok"] is not None and not isinstance(document["ok"], bool):
        raise TypeError(f"`ok` is {document['ok']!r}")
    causes = tuple(Cause(**_texts(cause)) for cause in document["causes"])
    return Check(**_texts(texts), ok=document["ok"], seconds=float(document["seconds"]), causes=causes, code=code)


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    wrong = [key for key, value in document.items() if not isinstance(value, str)]
    if wrong:
        raise TypeError(f"`{wrong[0]}` is {document[wrong[0]]!r}")
    return dict(document)
