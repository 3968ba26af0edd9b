"""The generations that a host keeps, and where to go back to: who activated them, when, and with which result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import DeployError

from roles.contract.history import GenerationContents, KeptGenerations, ReadHistory
from roles.contract.measured import RouteSpeed
from roles.host.program import answer, program_command
from roles.host.programs.generations.kept import DEPLOYS, deploy_order
from roles.plan import Generation, Layout


@dataclass(frozen=True)
class KeptGeneration:
    """A generation whose folder is still on the host.

    Attributes:
        time: when a deploy last tried to activate it, otherwise when it was written: ISO 8601, UTC.
        who: who ran that deploy; empty = not recorded.
        outcome: result of its last verification or failed activation, for people; empty = not verified yet.
        passed: it has passed a verification.
        files: path → SHA-256.
        texts: path → text of the world-readable files.
        installs: name → folder and title.
        missing_installs: those that no longer exist: name and folder.
        speeds: of the routes that were measured in it.
    """

    name: str
    active: bool
    time: str
    who: str
    outcome: str
    passed: bool
    files: Mapping[str, str]
    texts: Mapping[str, str]
    installs: Mapping[str, tuple[str, str]]
    missing_installs: tuple[str, ...]
    speeds: tuple[RouteSpeed, ...] = ()

    @classmethod
    def planned(cls, generation: Generation) -> KeptGeneration:
        """One that is not written yet, as it will be kept."""
        return cls(
            name=generation.digest,
            active=False,
            time="",
            who="",
            outcome="",
            passed=False,
            files={path: hashlib.sha256(file.content).hexdigest() for path, file in generation.files.items()},
            texts={path: file.content.decode() for path, file in generation.files.items() if file.mode & 0o004},
            installs={each.install.name: (each.folder, each.install.title) for each in generation.installs},
            missing_installs=(),
        )


@dataclass(frozen=True)
class History:
    """Attributes:
    generations: the kept ones, newest first.
    events: what happened, oldest first; each with `time`, `event`, `generation`, `who` and more.
    """

    generations: tuple[KeptGeneration, ...]
    events: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, read: KeptGenerations) -> History:
        """From the host's answer."""
        events = read.events
        kept = [_generation(each, read, events) for each in read.generations]
        order = deploy_order(events)
        kept.sort(key=lambda each: (order(each.name), each.time), reverse=True)
        return cls(tuple(kept), events)

    @property
    def active(self) -> KeptGeneration | None:
        return next((each for each in self.generations if each.active), None)

    def choose(self, wanted: str | None) -> KeptGeneration:
        """The generation to go back to.

        Args:
            wanted: its name or the start of it; none = the last one before the active one that passed.

        Raises:
            DeployError: there is none, or it can no longer be activated.
        """
        chosen = self._named(wanted) if wanted else self._before_the_active()
        if chosen.missing_installs:
            raise DeployError(
                f"generation {chosen.name} cannot be activated: of its installs "
                f"{', '.join(chosen.missing_installs)} are gone. Deploy the inventory that it was made from instead"
            )
        return chosen

    def before(self, generation: KeptGeneration) -> KeptGeneration | None:
        """The generation that it changed: the last one before it that passed, otherwise any one before it."""
        older = self.generations[self.generations.index(generation) + 1 :]
        return next((each for each in older if each.passed), older[0] if older else None)

    def _named(self, wanted: str) -> KeptGeneration:
        found = [each for each in self.generations if each.name.startswith(wanted)]
        if len(found) != 1:
            what = "several generations begin" if found else "no generation that is kept begins"
            raise DeployError(f'{what} with "{wanted}"; {self._names()}')
        return found[0]

    def _before_the_active(self) -> KeptGeneration:
        before = self.before(self.active) if self.active else None
        if before and before.passed:
            return before
        raise DeployError(
            "no generation that is kept was active before this one and passed; name one with "
            "`--data generation=…` (`none`: before the first one, with what was taken over given back); "
            f"{self._names()}"
        )

    def _names(self) -> str:
        names = [f"{each.name}{' (active)' if each.active else ''}" for each in self.generations]
        return f"there are: {', '.join(names)}" if names else "none is kept"


def _generation(
    entry: GenerationContents, read: KeptGenerations, events: Sequence[Mapping[str, Any]]
) -> KeptGeneration:
    own = [event for event in events if event["generation"] == entry.name]
    # Going back to a generation does not make it newer than the one that was left for it.
    deploys = [event for event in own if event["event"] in DEPLOYS]
    outcomes = [_outcome(event) for event in own if event["event"] in ("refused", "verified", "failed")]
    return KeptGeneration(
        name=entry.name,
        active=entry.name == read.active,
        time=deploys[-1]["time"] if deploys else entry.written,
        who=deploys[-1]["who"] if deploys else "",
        outcome=outcomes[-1] if outcomes else "",
        passed=any(event.get("verdict") == "pass" for event in own),
        files=entry.files,
        texts={path: read.texts[digest] for path, digest in entry.files.items() if digest in read.texts},
        installs=entry.installs,
        missing_installs=entry.missing_installs,
        speeds=entry.speeds,
    )


def _outcome(event: Mapping[str, Any]) -> str:
    if event["event"] == "failed":
        return f"did not come up: {event['reason']}"
    if event["event"] == "refused":
        return f"was tried out beside the active one, and not switched to: {event['reason']}"
    return f"verdict {event['verdict']}: {event['summary']}"


class HostHistory(FactBase[History]):
    """The host's kept generations and its history. Reads only.

    Asked with `_stdin=StandardInput(history_request(layout))`.
    """

    def command(self) -> StringCommand:
        return program_command(ReadHistory.program)

    def process(self, output: list[str]) -> History:
        return History.of(answer(KeptGenerations, output))


def history_request(layout: Layout) -> ReadHistory:
    return ReadHistory(config=layout.config, generations=layout.generations, state=layout.state)
