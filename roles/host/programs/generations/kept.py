"""The generations that a host keeps, and their results. Changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roles.contract.activation import read_activation
from roles.contract.generation import ACTIVATION, INSTALL_MARK, ActivatedUnit
from roles.contract.history import GenerationContents, KeptGenerations, ReadHistory
from roles.contract.speeds import SPEEDS, KeptSpeed
from roles.contract.wire import read, written
from roles.host.programs.console import HostError

DEPLOYS = ("refused", "activated", "failed")
"""Events of a deploy that wanted a generation. Going back to it does not make it newer than the one that was left."""

_TEXTS = {"refused": ("reason",), "failed": ("reason",), "rolled back": ("reason",), "verified": ("verdict", "summary")}
"""The further fields of an event, by kind. Other kinds, which a later version may write, need only the common
fields."""


def main(request: ReadHistory) -> None:
    config = Path(request.config)
    texts: dict[str, str] = {}
    speeds = _speeds(request.state)
    kept = KeptGenerations(
        active=config.readlink().name if config.is_symlink() else None,
        generations=tuple(_contents(folder, texts, speeds) for folder in generations(request.generations)),
        texts=texts,
        events=tuple(events(request.state)),
    )
    print(json.dumps(written(kept)))


def generations(folder: str) -> list[Path]:
    """The folders of the kept generations that can be activated."""
    with contextlib.suppress(OSError):
        return sorted(path.parent for path in Path(folder).glob(f"*/{ACTIVATION}") if not path.parent.is_symlink())
    return []


def history_file(state: str) -> Path:
    return Path(state, "history.jsonl")


def events(state: str) -> list[dict[str, Any]]:
    """The events of generations on this host, oldest first; see `record.py`."""
    return read_history(state)[0]


def read_history(state: str) -> tuple[list[dict[str, Any]], int]:
    """The events, in the order in which they were written, and the number of lines that are not events."""
    with contextlib.suppress(OSError):
        file = history_file(state)
        # Read regular files only: reading others, such as a pipe, may never end.
        lines = [line for line in (file.read_bytes() if file.is_file() else b"").split(b"\n") if line.strip(b"\0 \t\r")]
        found = [event for event in map(_event, lines) if event]
        return found, len(lines) - len(found)
    return [], 0


def _event(line: bytes) -> dict[str, Any] | None:
    """None if the line is not an event: readers use an event's fields without checking for them."""
    try:
        event = json.loads(line.strip(b"\0").decode())
        # Half of a surrogate pair is a string that cannot be printed.
        json.dumps(event, ensure_ascii=False).encode()
        texts = [event[key] for key in ("time", "event", "generation", "who")]
        texts += [event[key] for key in _TEXTS.get(event["event"], ())]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return event if all(isinstance(text, str) for text in texts) else None


def deploy_order(events: Sequence[Mapping[str, Any]]) -> Callable[[str], int]:
    """By a generation's name when it was last deployed: its place in the history, which no change of the clock affects.

    A generation that the history does not list was written by a run that died, and is newer than all.
    """
    order: dict[str, int] = {}
    for number, event in enumerate(events):
        if event["event"] in DEPLOYS:
            order[event["generation"]] = number
        elif event["event"] == "verified":  # the run died before it recorded the activation
            order.setdefault(event["generation"], number)
    return lambda name: order.get(name, len(events))


def passed_verifications(state: str) -> list[str]:
    """The generations that passed their verification, one name per pass, oldest first."""
    return [event["generation"] for event in events(state) if event.get("verdict") == "pass"]


def activated_units(folder: Path) -> tuple[ActivatedUnit, ...]:
    """The units of a generation, in the order of the plan.

    Raises:
        HostError: the file that lists them is damaged.
    """
    try:
        return read_activation((folder / ACTIVATION).read_text()).units
    except ValueError:
        raise HostError(f"{folder / ACTIVATION} is damaged, so this generation cannot be activated") from None


def missing_installs(generation: Path) -> list[str]:
    """The installs of a generation that no longer exist: name and folder of each."""
    return [
        f"{link.name} ({link.readlink()})"
        for link in sorted(generation.glob("install/*"))
        if link.is_symlink() and not (link / INSTALL_MARK).is_file()
    ]


def _speeds(state: str) -> tuple[KeptSpeed, ...]:
    """Those that the verifier keeps; none, if they cannot be read or are in another version's form."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(Path(state, SPEEDS).read_bytes())
        return tuple(read(KeptSpeed, each, strict=False) for each in found)
    return ()


def _contents(generation: Path, texts: dict[str, str], speeds: Sequence[KeptSpeed]) -> GenerationContents:
    """A generation's contents: digests of its files, titles of its installs, and the world-readable texts."""
    files = {}
    for parent, _, names in os.walk(generation):
        for path in (Path(parent, name) for name in names):
            if path.is_symlink() or not path.is_file():
                continue
            content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
            digest = hashlib.sha256(content).hexdigest()
            files[str(path.relative_to(generation))] = digest
            if mode == 0o644:
                texts[digest] = content.decode(errors="replace")
    return GenerationContents(
        name=generation.name,
        written=datetime.fromtimestamp(generation.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        files=files,
        installs={link.name: (str(link.readlink()), _title(link)) for link in generation.glob("install/*")},
        missing_installs=tuple(missing_installs(generation)),
        speeds=tuple(each.last for each in speeds if each.generation == generation.name),
    )


def _title(install: Path) -> str:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads((install / INSTALL_MARK).read_text())["title"])
    return install.name
