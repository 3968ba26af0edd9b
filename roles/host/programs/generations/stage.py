"""Trying out a new gateway beside the running one: on a spare port, from its own generation; then it is removed.

Its unit is transient: it is in memory only, and disappears by itself if the run dies before it removes the unit.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

from roles.contract.generation import VERIFIER_START
from roles.contract.requests import StageGateway
from roles.host.programs.console import HostError, Progress, say, seconds
from roles.host.programs.generations.activate import await_ready
from roles.host.programs.generations.record import first_line, note
from roles.host.programs.systemd import Manager


def main(request: StageGateway) -> None:
    manager = Manager(request.scope)
    folder, name = Path(request.folder), request.unit
    file = manager.runtime / "systemd" / ("user" if request.scope == "user" else "system") / name
    _take_down(manager, file)
    port = _spare_port(*request.ports)
    url = f"http://127.0.0.1:{port}"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = request.text.replace(request.folder_placeholder, str(folder))
    file.write_text(text.replace(request.port_placeholder, str(port)))
    started = time.monotonic()
    try:
        manager.call("daemon-reload")
        manager.call("start", "--no-block", name)
        say(f"{name}: started with generation {folder.name}")
        with Progress(name, lambda: "not up yet"):
            problem = await_ready(manager, name, url + request.ready_path, timeout=request.timeout)
        problem = problem or _questioned(manager, request, folder, url)
    finally:
        _take_down(manager, file)
    if problem:
        note(request.state, "refused", folder.name, request.who, reason=first_line(problem.strip()))
        raise HostError(
            f"the new gateway does not do what it should, and the host was not switched to generation {folder.name}: "
            f"it goes on with what it runs.\n{problem}"
        )
    say(f"{name}: does what it should, after {seconds(started)}")


def _questioned(manager: Manager, request: StageGateway, folder: Path, url: str) -> str | None:
    """None if the generation's own verifier passes the gateway; otherwise what it found."""
    start = f"{folder}/install/{request.verifier}/{VERIFIER_START}"
    command = [f"{folder}/install/{request.environment}/bin/python", "-I", "-S", "-B", start]
    done = subprocess.run(
        [*command, "--config", str(folder), "--json", "--staged", url, "--stale", *request.stale],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    try:
        checks = json.loads(done.stdout)["checks"]
    except (ValueError, LookupError, TypeError):
        return f"It could not be asked: {done.stderr.strip()}"
    broken = [check for check in checks if check["ok"] is not True]
    if not broken:
        asked = ", ".join(check["subject"] for check in checks if check["id"].startswith("route/"))
        say(f"{request.unit}: offers what is declared, and answers for {asked or 'no deployment: none is ready'}")
        return None
    found = [f"    {check['subject']} {check['claim']}: {check['seen']}, not {check['expected']}" for check in broken]
    return "\n".join([*found, "It said last:", manager.last_log_lines(request.unit)])


def _take_down(manager: Manager, file: Path) -> None:
    """Stop and remove the unit; also one that an earlier run has left."""
    if not file.exists():
        return
    with contextlib.suppress(HostError):
        manager.call("stop", file.name)
    file.unlink(missing_ok=True)
    with contextlib.suppress(HostError):
        manager.call("reset-failed", file.name)
    manager.call("daemon-reload")


def _spare_port(first: int, last: int) -> int:
    """One of the ports that the firewall closes to other users of the host."""
    for port in range(first, last + 1):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise HostError(f"the new gateway cannot be tried out: ports {first} to {last} are all taken; stop what has them")
