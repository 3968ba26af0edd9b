"""What the verifier found, as plain data: one record a check."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self, TypeAlias

Status: TypeAlias = Literal["pass", "fail", "unknown"]

SCHEMA = 1
"""Version of the JSON form. A change that an older reader would misread gets the next number."""

_EXIT_STATUS: Mapping[Status, int] = {"pass": 0, "fail": 1, "unknown": 2}


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        id: stable and unique in a verdict, e.g. `unit/litellm.service/port`: two verdicts are compared by it.
        subject: what it is about, e.g. `litellm.service`.
        claim: what should hold, e.g. `owns its port`.
        expected: what was expected, for people.
        seen: what was seen instead, specific enough to act on.
        ok: whether the claim holds; None = it could not be checked, and `seen` says why.
        seconds: how long the check took.
    """

    id: str
    subject: str
    claim: str
    expected: str
    seen: str
    ok: bool | None
    seconds: float

    @property
    def group(self) -> str:
        """The first part of the id: `host`, `unit`, `model`, `gateway` or `route`."""
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
        boot_id: the kernel's name for this boot: it tells a proof after a reboot from one before it.
        generation: the generation that was found deployed.
        seconds: how long the whole run took, waiting for services included.
    """

    host: str
    time: str
    boot_id: str
    generation: str
    seconds: float
    checks: tuple[Check, ...]
    schema: int = SCHEMA

    @property
    def status(self) -> Status:
        """`fail` beats `unknown` beats `pass`. A verdict without checks proves nothing: `unknown`."""
        found = self.count
        if found["fail"]:
            return "fail"
        return "unknown" if found["unknown"] or not self.checks else "pass"

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
        return json.dumps({**asdict(self), "status": self.status}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The verdict that `to_json` wrote.

        Raises:
            ValueError: when it is no verdict of this schema.
        """
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA:
                raise ValueError(f"a verdict of schema {document['schema']!r}; this program reads {SCHEMA}")
            return cls(
                host=str(document["host"]),
                time=str(document["time"]),
                boot_id=str(document["boot_id"]),
                generation=str(document["generation"]),
                seconds=float(document["seconds"]),
                checks=tuple(Check(**check) for check in document["checks"]),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a verdict ({error!r})") from None
