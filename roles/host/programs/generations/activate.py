"""Activating a generation: one link is switched, then the units that run something else are restarted.

All that it needs is in the generation's folder, so an old generation is activated like a new one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roles.contract.generation import ActivatedUnit, Drain, Live
from roles.contract.requests import Activation
from roles.host.programs.console import HostError, Progress, say, seconds
from roles.host.programs.files import link_atomic, make_folder, remove_tree, write_atomic
from roles.host.programs.foreign.folders import leads_to_a_generation
from roles.host.programs.foreign.units import is_ours
from roles.host.programs.generations.front import Keys, Server
from roles.host.programs.generations.kept import activated_units, deploy_order, events, passed_verifications
from roles.host.programs.generations.running import linked_units, running_digest
from roles.host.programs.systemd import Manager

KEPT_GENERATIONS = 5
_POLL_SECONDS = 0.2
_TIMER_SECONDS = 10
_DEATHS = 2
"""Automatic restarts of a unit before its first answer, after which it is pointless to wait longer."""


def activate(request: Activation, folder: Path) -> None:
    """Switch to the generation in `folder`, restart what runs something else, and wait until every unit is ready.

    Args:
        request: what is the same for all generations of a host: its layout; and `outdated`, units to restart although
            they run what is wanted.

    Raises:
        HostError: a unit does not stay up or does not answer. The generation is the current one all the same.
    """
    manager = Manager(request.scope)
    config, units_folder = Path(request.config), Path(request.units_folder)
    wants = units_folder / f"{request.wanted_by}.wants"
    units = activated_units(folder)
    names = [unit.name for unit in units]
    activated = Path(request.state, "activated")

    # Additions come before the switch, removals after it: after a power failure in between, the host can boot into
    # either generation.
    make_folder(wants)
    _refuse_foreign(config, folder, [units_folder / name for name in names])
    for name in names:
        _ensure_link(units_folder / name, f"{config}/units/{name}")
    for name in (unit.name for unit in units if unit.kind != "triggered"):
        _ensure_link(wants / name, f"{units_folder}/{name}")
    if _target(config) != str(folder):
        with contextlib.suppress(FileNotFoundError):
            activated.unlink()
        if config.is_symlink():
            link_atomic(folder.parent / "previous", str(config.readlink()))
        link_atomic(config, str(folder))
        say(f"generation {folder.name}: switched to")
    gone = [name for name in linked_units(units_folder, config) if name not in names]
    spare = {name: server for name, server in _spare_servers(manager, units).items() if name in gone}
    if gone:
        # New instances behind the front can start before the units that they replace stop.
        _begin_instances(manager, units)
    # Before systemd reads the unit files again: it does not know the stop timeout of a unit without a file.
    remove_units(manager, [name for name in gone if name not in spare], units_folder, wants)
    manager.call("daemon-reload")
    _replace(manager, units, request.outdated)
    for name, server in spare.items():
        # Only now: the other servers, which take over its requests, may have been replaced just before.
        if server.relieve():
            say(f"{name}: relieved of its work")
        remove_units(manager, [name], units_folder, wants)
        server.give_no_work()
        manager.call("daemon-reload")
    write_atomic(activated, folder.name.encode(), 0o644)
    _forget_old_generations(folder, request.state)


def _spare_servers(manager: Manager, units: Sequence[ActivatedUnit]) -> dict[str, Server]:
    """Unit → server, for servers that the front could have but no longer uses."""
    return {
        server.unit: Server(manager.runtime, Drain(live.socket, live.backend, server.server, live.drain_timeout))
        for live in _lives(units)
        for server in live.servers
        if not server.used
    }


def _lives(units: Sequence[ActivatedUnit]) -> list[Live]:
    """What the load balancer is given at run time. Generations of older versions have none."""
    return [unit.live for unit in units if unit.live]


def _begin_instances(manager: Manager, units: Sequence[ActivatedUnit]) -> None:
    """Start the instances that are not running, on their own ports, and wait for them.

    Raises:
        HostError: one does not answer.
    """
    new = [unit for unit in units if unit.drain and not _running_digest(manager, unit)]
    _restart(manager, new)
    if problems := _await_all(manager, new):
        raise HostError("\n".join(problems))


def remove_units(
    manager: Manager, gone: list[str], units_folder: Path, wants: Path, *, why: str = "no longer declared"
) -> None:
    """Stop units, and remove their links."""
    if not gone:
        return
    say(f"stopping {', '.join(gone)}: {why}")
    with contextlib.suppress(HostError):
        manager.call("stop", *gone)
    for name in gone:
        (wants / name).unlink(missing_ok=True)
        (units_folder / name).unlink(missing_ok=True)


def _replace(manager: Manager, units: Sequence[ActivatedUnit], outdated: Collection[str]) -> None:
    """Restart the units that run something else, or run from outdated files, until all are ready. Units whose requests
    others can take over are restarted last, one after the other. If a unit fails, the remaining ones are not restarted.

    Raises:
        HostError: the units that are not ready, each with its reason and last log lines.
    """
    running = {unit.name: _running_digest(manager, unit) for unit in units}
    stale = [unit for unit in units if running[unit.name] != unit.digest or unit.name in outdated]
    # Generations of an earlier version mark no unit as last.
    last = [unit for unit in stale if unit.last]
    stale = [unit for unit in stale if unit not in last]
    # A unit that is not running has no requests to drain.
    drained = [unit for unit in stale if unit.drain and running[unit.name]]
    _restart(manager, [unit for unit in stale if unit not in drained])
    problems = _await_all(manager, [unit for unit in units if unit not in drained and unit not in last])
    keys = [Keys(manager.runtime, live) for live in _lives(units)]
    for each in keys:
        each.let_in()
    servers = {unit.name: Server(manager.runtime, unit.drain) for unit in units if unit.drain}
    for server in servers.values():
        # A killed run may have left it without requests.
        server.give_work()
    if problems:
        raise HostError("\n".join(problems))
    for unit in drained:
        server = servers[unit.name]
        if server.relieve():
            say(f"{unit.name}: relieved of its work")
        _restart(manager, [unit])
        failed = _await_all(manager, [unit])
        # Also if it failed: it may come up later, and HAProxy checks by itself whether it answers.
        server.give_work()
        if failed:
            raise HostError("\n".join(failed))
        server.await_work(unit.timeout)
    _restart(manager, last)
    if problems := _await_all(manager, last):
        raise HostError("\n".join(problems))
    for each in keys:
        each.let_nobody_else_in()


def _restart(manager: Manager, units: Sequence[ActivatedUnit]) -> None:
    names = [unit.name for unit in units]
    if not names:
        return
    say(f"restarting {', '.join(names)}")
    with contextlib.suppress(HostError):  # a unit that was never loaded has nothing to reset
        manager.call("reset-failed", *names)
    manager.call("restart", "--no-block", *names)


def _target(link: Path) -> str | None:
    return str(link.readlink()) if link.is_symlink() else None


def _refuse_foreign(config: Path, folder: Path, units: Sequence[Path]) -> None:
    """Replace nothing of others, also where it came after the deploy had looked.

    Raises:
        HostError: with what is in the way. Nothing has been changed.
    """
    found = [path for path in units if os.path.lexists(path) and not is_ours(path, config)]
    if os.path.lexists(config) and not leads_to_a_generation(config, folder.parent):
        found.append(config)
    if found:
        raise HostError(
            f"{', '.join(map(str, found))} came from somebody else, and is not replaced: run deploys/preflight.py, "
            "which says what there is to choose"
        )


def _ensure_link(path: Path, target: str) -> None:
    if _target(path) != target:
        link_atomic(path, target)


def _running_digest(manager: Manager, unit: ActivatedUnit) -> str | None:
    """As `running_digest`. A timer has no process: once systemd has reloaded its file, being active is enough. The unit
    that it starts does not matter."""
    shown = manager.properties(unit.name, "SubState", "ActiveState", "MainPID")
    if unit.kind == "triggered" or (unit.kind == "timer" and shown.get("ActiveState") == "active"):
        return unit.digest
    return running_digest(manager, shown, unit.done_file, unit.effect_command)


def _await_all(manager: Manager, units: Sequence[ActivatedUnit]) -> list[str]:
    """Wait for all units at once. Returns those that are not ready, each with its reason and last log lines."""
    started = time.monotonic()
    waiting = {unit.name: "" for unit in units}

    def wait(unit: ActivatedUnit) -> str | None:
        name = unit.name
        if unit.kind == "triggered":
            problem = None
        elif unit.kind == "timer":
            problem = _await_active(manager, name)
        elif unit.done_file:
            problem = _await_done(manager, unit, lambda status: waiting.update({name: f" ({status})"}))
        else:
            assert unit.ready_url, f"{name} has no endpoint"
            problem = await_ready(manager, name, unit.ready_url, timeout=unit.timeout, stop_timeout=unit.stop_timeout)
        del waiting[name]
        if problem is None and unit.kind in _READY_TEXT:
            say(f"{name}: {_READY_TEXT[unit.kind]} after {seconds(started)}")
        return problem

    with (
        Progress("waiting", lambda: ", ".join(f"{name}{status}" for name, status in sorted(waiting.items()))),
        ThreadPoolExecutor(max_workers=len(units) or 1) as pool,
    ):
        return [problem for problem in pool.map(wait, units) if problem]


_READY_TEXT = {"server": "answers", "task": "done"}


def _await_active(manager: Manager, name: str) -> str | None:
    """None once a timer is active, which takes no time; otherwise what is wrong."""
    deadline = time.monotonic() + _TIMER_SECONDS
    while time.monotonic() < deadline:
        state = manager.properties(name, *_STATE)
        if state.get("ActiveState") == "active":
            return None
        if _is_dead(state):
            break
        time.sleep(_POLL_SECONDS)
    return f"{name} does not run ({state.get('ActiveState')}): see `systemctl status {name}`"


def await_ready(manager: Manager, name: str, url: str, *, timeout: int, stop_timeout: int = 0) -> str | None:
    """None once the unit's own endpoint gives 200; otherwise what went wrong.

    Args:
        timeout: seconds from its start.
        stop_timeout: seconds that the process before it may take to stop.
    """
    deadline = time.monotonic() + stop_timeout + timeout
    restarts_before: int | None = None
    while True:
        state = manager.properties(name, *_STATE)
        if state.get("ActiveState") == "active" and not _has_job(state):
            # The process before it has stopped: its own time begins.
            deadline = min(deadline, time.monotonic() + timeout)
            if _answers(url):
                return None
        restarts = int(state.get("NRestarts") or 0)
        # A requested restart sets the count back to 0, sooner or later.
        restarts_before = restarts if restarts_before is None else min(restarts, restarts_before)
        if _is_dead(state) or restarts - restarts_before >= _DEATHS:
            return _does_not_stay_up(manager, name, state)
        if time.monotonic() > deadline:
            return (
                f"{name} runs, but {url} did not answer within its start_timeout of {timeout} s. "
                f"It said last:\n{manager.last_log_lines(name)}"
            )
        time.sleep(_POLL_SECONDS)


def _await_done(manager: Manager, unit: ActivatedUnit, report: Callable[[str], None]) -> str | None:
    """None once a task has finished; otherwise what went wrong. Its progress is passed on."""
    name, status = unit.name, ""
    deadline = time.monotonic() + unit.timeout
    while True:
        state = manager.properties(name, *_STATE, "StatusText")
        if not _has_job(state) and _running_digest(manager, unit) == unit.digest:
            return None
        # systemd starts it again after a pause, but the deploy that waits here needs to know at once.
        if _is_dead(state) or state.get("SubState") == "auto-restart":
            return f"{name} has failed. It said last:\n{manager.last_log_lines(name)}{_its_servers_word(manager, name)}"
        if state.get("StatusText", "") != status:
            status, deadline = state.get("StatusText", ""), time.monotonic() + unit.timeout
            report(status)
        if time.monotonic() > deadline:
            return f"{name} made no progress for {unit.timeout} s. It said last:\n{manager.last_log_lines(name)}"
        time.sleep(_POLL_SECONDS)


def _its_servers_word(manager: Manager, task: str) -> str:
    """What failed meanwhile in the server that a task works with: what it answers may be less than it logs."""
    state = manager.properties(task, "PartOf", "ExecMainStartTimestamp")
    said = {
        server: manager.failures_in_log(server, state.get("ExecMainStartTimestamp", ""))
        for server in state.get("PartOf", "").split()
    }
    return "".join(f"\n{server} said meanwhile:\n{lines}" for server, lines in said.items() if lines)


_STATE = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "LoadState", "Job")


def _has_job(state: dict[str, str]) -> bool:
    """systemd still has to start, stop or restart it: the running process is the old one."""
    return state.get("Job", "") not in ("", "0")


def _is_dead(state: dict[str, str]) -> bool:
    return state.get("ActiveState") == "failed" or state.get("LoadState") in ("not-found", "bad-setting", "error")


def _does_not_stay_up(manager: Manager, name: str, state: dict[str, str]) -> str:
    return (
        f"{name} does not stay up ({state.get('ActiveState')}, result {state.get('Result')}, exit status "
        f"{state.get('ExecMainStatus')}, restarted {state.get('NRestarts')} times). It said last:\n"
        f"{manager.last_log_lines(name)}"
    )


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Connects to the host's own address, whatever proxy the environment names."""


def _answers(url: str) -> bool:
    """Status 200; for a Redis, PONG or its demand for a password."""
    try:
        if url.startswith("redis://"):
            host, _, port = url.removeprefix("redis://").rpartition(":")
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        with _direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _forget_old_generations(current: Path, state: str) -> None:
    """Keep the current generation, the one before, the last that passed its verification, and a few more by age."""
    folders = [folder for folder in current.parent.iterdir() if folder.is_dir() and not folder.is_symlink()]
    order = deploy_order(events(state))
    folders.sort(key=lambda folder: (order(folder.name), folder.stat().st_mtime), reverse=True)
    previous = _target(current.parent / "previous")
    # The current one is not verified yet. If it fails, the host goes back to the last that passed.
    passed = [current.parent / name for name in passed_verifications(state)[-1:]]
    kept = {current, *folders[:KEPT_GENERATIONS], *([Path(previous)] if previous else []), *passed}
    for folder in folders:
        if folder not in kept:
            remove_tree(folder)
