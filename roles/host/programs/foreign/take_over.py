"""Taking over what others have put where the stack belongs: stop it, and move its files aside.

What it was is written down first: whether it ran, what started it, where each file was. Giving it back is the same
backwards.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from roles.contract.foreign import Move, TakenOver
from roles.contract.requests import Activation, GoForward
from roles.host.programs.console import HostError, Progress, say, seconds
from roles.host.programs.foreign.listeners import listening_sockets, ports_of
from roles.host.programs.foreign.moves import are_alike, move
from roles.host.programs.foreign.records import finish, forget, free_folder, records, write_record
from roles.host.programs.foreign.units import (
    RUNNING,
    can_be_moved,
    drop_in_folders,
    enablement_links,
    is_ours,
    search_path,
    unit_files,
)
from roles.host.programs.generations.kept import activated_units, deploy_order, events, generations
from roles.host.programs.systemd import Manager

_ANSWER_SECONDS = 60
_POLL_SECONDS = 0.2


def take_over(request: GoForward, ours: Collection[str]) -> None:
    """Stop and move aside what the request names; what is aside already stays there.

    Args:
        ours: names of the units of the generation to activate.
    """
    for name in request.take_over:
        kept = {record.name: (folder, record) for folder, record in records(request.taken_over)}
        folder, record = kept.get(name, (None, None))
        if record is None or folder is None or (record.finished and _is_back(request, name)):
            folder = free_folder(request.taken_over, name)
            record = _found(request, name, folder, is_name_of_ours=name in ours)
            write_record(folder, record)
        elif record.finished:
            continue
        _move_aside(request, record)
        finish(folder, record)
        back = "deploys/rollback.py" + ("" if request.found else " --data generation=none")
        say(f"{name}: taken over, and kept in {folder}; `{back}` gives it back")


def give_back(request: Activation, to: Path | None = None) -> list[str]:
    """Put back what was taken over and start what ran; returns what could not be, each with its reason.

    Args:
        to: the generation that is active now: what is in its way stays aside; none = no generation is active.
    """
    problems = []
    for folder, record in reversed(records(request.taken_over)):
        if to and _is_in_the_way(request, record, to):
            continue
        if problem := _give_back(request, record):
            problems.append(f"{problem}; it is kept in {folder}")
        else:
            forget(folder)
            say(f"{record.name}: given back")
    return problems


def stay_aside(request: Activation, generation: str) -> None:
    """A generation that is deployed again is no longer one from before the take-overs."""
    for folder, record in records(request.taken_over):
        if generation in (record.earlier or ()):
            left = tuple(name for name in record.earlier or () if name != generation)
            write_record(folder, replace(record, earlier=left))


def kept_names(request: Activation) -> list[str]:
    return [record.name for _, record in records(request.taken_over)]


def _is_in_the_way(request: Activation, record: TakenOver, generation: Path) -> bool:
    if record.same_name:
        return record.name in (request.config, *(unit.name for unit in activated_units(generation)))
    if record.earlier is not None:
        return generation.name not in record.earlier
    order = deploy_order(events(request.state))
    return order(generation.name) >= order(record.generation)


def _is_back(request: Activation, name: str) -> bool:
    """Whether something of that name has appeared again since it was moved aside."""
    if name.startswith("/"):
        return os.path.lexists(name) and not Path(name).is_symlink()
    user, _, unit = name.rpartition(":")
    manager = _manager(request, user or None)
    if not user and _files(request, unit, search_path(manager)):
        return True
    return not is_ours(Path(request.units_folder, unit), Path(request.config)) and _is_running(manager, unit)


def _files(request: Activation, unit: str, folders: Sequence[Path]) -> list[Path]:
    """What others have under the name of a unit of ours: its files, and the folders of its drop-ins."""
    files = unit_files(unit, folders, Path(request.units_folder), Path(request.config))
    return [*files, *(path for folder in folders for each in drop_in_folders(unit) if (path := folder / each).is_dir())]


def _found(request: GoForward, name: str, folder: Path, *, is_name_of_ours: bool) -> TakenOver:
    """What is to be taken over, as it is now."""
    is_path = name.startswith("/")
    record = TakenOver(
        name=name,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        who=request.who,
        generation=Path(request.folder).name,
        same_name=is_path or is_name_of_ours,
        earlier=tuple(each.name for each in generations(request.generations) if each != Path(request.folder)),
    )
    if is_path:
        return replace(record, moves=(Move(path=name, kept=f"{folder}/files/0"),))
    user, _, unit = name.rpartition(":")
    manager = _manager(request, user or None)
    ours = not user and is_ours(Path(request.units_folder, unit), Path(request.config))
    triggers = manager.properties(unit, "TriggeredBy").get("TriggeredBy", "").split()
    units = () if ours else tuple(each for each in (*triggers, unit) if _is_running(manager, each))
    paths: list[Path] = []
    if not user:
        folders = search_path(manager)
        if not ours:
            paths += [link for each in (*triggers, unit) for link in enablement_links(each, folders)]
        if is_name_of_ours:
            paths += _files(request, unit, folders)
    movable = [path for path in dict.fromkeys(paths) if can_be_moved(path) or path.name.endswith(".d")]
    return replace(
        record,
        moves=tuple(Move(path=str(path), kept=f"{folder}/files/{n}") for n, path in enumerate(movable)),
        units=units,
        manager=user or None,
        enabled=tuple(each for each in (*triggers, unit) if _is_enabled(manager, each)) if user else (),
        ports=ports_of(units, user or None),
    )


def _is_running(manager: Manager, unit: str) -> bool:
    return manager.properties(unit, "ActiveState").get("ActiveState") in RUNNING


def _is_enabled(manager: Manager, unit: str) -> bool:
    return manager.properties(unit, "UnitFileState").get("UnitFileState") == "enabled"


def _move_aside(request: Activation, record: TakenOver) -> None:
    manager = _manager(request, record.manager)
    if record.units:
        say(f"{record.name}: stopping it")
        manager.call("stop", *record.units)
    if record.enabled:
        manager.call("disable", *record.enabled)
    for each in record.moves:
        if move(Path(each.path), Path(each.kept)):
            say(f"{record.name}: {each.path} moved to {each.kept}")
    if record.moves:
        manager.call("daemon-reload")
    for unit in record.units:
        with contextlib.suppress(HostError):  # systemd has forgotten a unit without a file
            manager.call("reset-failed", unit)


def _give_back(request: Activation, record: TakenOver) -> str | None:
    """None, or why it cannot be given back. Nothing is changed then but what can be put back on another try."""
    both = [each for each in record.moves if os.path.lexists(each.kept) and os.path.lexists(each.path)]
    occupied = [each.path for each in both if not are_alike(Path(each.kept), Path(each.path))]
    if occupied:
        return f"{record.name} was not given back, as there is something else at {', '.join(occupied)}: move that away"
    try:
        manager = _manager(request, record.manager)
        for each in reversed(record.moves):
            move(Path(each.kept), Path(each.path))
        if record.moves:
            manager.call("daemon-reload")
        if record.enabled:
            manager.call("enable", *record.enabled)
        if record.units:
            manager.call("start", *record.units)
        return _await_answers(manager, record)
    except HostError as error:
        return f"{record.name} was not given back: {error}"


def _await_answers(manager: Manager, record: TakenOver) -> str | None:
    """None once its units run and its ports accept connections, as before; otherwise what is missing."""
    started = time.monotonic()
    waiting: Sequence[str] = ()
    with Progress(f"{record.name}: waiting", lambda: ", ".join(waiting)):
        while True:
            waiting = [
                *(unit for unit in record.units if not _is_running(manager, unit)),
                *(f"port {port}" for port in record.ports if port not in listening_sockets().values()),
            ]
            if not waiting:
                if record.units:
                    ports = f", and answers on port {', '.join(map(str, record.ports))}" if record.ports else ""
                    say(f"{record.name}: runs again{ports} after {seconds(started)}")
                return None
            if time.monotonic() - started > _ANSWER_SECONDS:
                return f"{record.name} is back in its place, and {', '.join(waiting)} does not come up: see its log"
            time.sleep(_POLL_SECONDS)


def _manager(request: Activation, user: str | None) -> Manager:
    """That of another user; none = the one that runs our units."""
    return Manager("user" if user else request.scope, user)
