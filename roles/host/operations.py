"""The operations of a deploy. Each asks the target what is pending and yields commands for just that.

Few and coarse on purpose: each costs a round trip when it has something to do and none when it has not, and an
operation is known to pyinfra by its line number only, so one that takes a list can not be confused with another.
"""

from __future__ import annotations

import base64
import getpass
import os
import socket
import uuid
from collections.abc import Generator
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from roles.host.program import HostProgram
from roles.host.sending import SendFile
from roles.host.state import BUILD_USER
from roles.host.target import Target
from roles.plan import Json, Layout


def lock_folder(layout: Layout) -> str:
    return f"{layout.state}/lock"


def _me() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


@operation()
def acquire_lock(*, pruning: bool = False) -> Generator[PyinfraCommand, None, None]:
    """Take the host's deploy lock, if there is anything to do.

    A lock left behind by a run of the same person on the same machine whose process is gone is taken over.

    Args:
        pruning: what is to do is to remove unused installs. Without the lock those of a deploy that is under way, and
            has not written its generation yet, would look unused.
    """
    target = Target.of(host)
    anything = bool(target.unused_installs) if pruning else target.pending.anything
    if target.lock_id or not anything:
        host.noop("nothing to do, no lock needed")
        return
    present = target.state.lock
    dead = present and present.get("who") == _me() and not _is_running(present.get("pid", ""))
    holder: dict[str, Json] = {
        "id": uuid.uuid4().hex,
        "who": _me(),
        "pid": str(os.getpid()),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
    if present and dead:
        host.log(f"taking over the lock of an earlier run of yours that is gone (since {present.get('since')})")
    yield HostProgram(
        "lock",
        {
            "action": "acquire",
            "folder": lock_folder(target.plan.layout),
            "holder": holder,
            "take_over": present["id"] if present and dead else None,
        },
    )
    target.lock_id = str(holder["id"])
    target.changed()


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def release_command(target: Target, lock_id: str | None) -> HostProgram:
    """Releases the lock if it has that id; none = whoever holds it."""
    return HostProgram("lock", {"action": "release", "folder": lock_folder(target.plan.layout), "id": lock_id})


@operation()
def release_lock() -> Generator[PyinfraCommand, None, None]:
    """Give the host's deploy lock back, if this run holds it."""
    target = Target.of(host)
    if target.lock_id is None:
        host.noop("no lock held")
        return
    yield release_command(target, target.lock_id)
    target.lock_id = None


@operation()
def break_lock() -> Generator[PyinfraCommand, None, None]:
    """Remove the host's deploy lock, whoever holds it."""
    target = Target.of(host)
    if target.state.lock is None:
        host.noop("the host is not locked")
        return
    host.log(f"held by {target.state.lock.get('who')} since {target.state.lock.get('since')}")
    yield release_command(target, None)
    target.changed()


@operation()
def prepare_system() -> Generator[PyinfraCommand, None, None]:
    """Install missing packages, make the user that builds and the folders for installs, turn lingering on."""
    target = Target.of(host)
    pending, layout = target.pending, target.plan.layout
    if not pending.prepare:
        host.noop("packages, user and folders are there")
        return
    folders: list[Json] = [[layout.installs, 0o755], [layout.state, 0o755], [layout.cache, 0o755]]
    yield HostProgram(
        "system",
        {
            "state": layout.state,
            "packages": list(pending.packages),
            "keep_off": list(target.plan.keep_off),
            "build_user": BUILD_USER if layout.scope == "system" else None,
            "cache": layout.cache,
            "folders": folders,
            "lingering": pending.linger,
        },
    )
    target.changed()


@operation()
def make_installs() -> Generator[PyinfraCommand, None, None]:
    """Make every environment, build and model that is not there yet, beside those that run."""
    target = Target.of(host)
    layout, missing = target.plan.layout, target.pending.installs
    if not missing:
        host.noop("all installs are there")
        return
    for install in missing:
        if install.install.sent_from:
            yield SendFile(install.install.sent_from, install, layout.state)
        yield HostProgram(
            "install",
            {
                "kind": install.install.kind,
                "title": install.install.title,
                "folder": install.folder,
                "recipe": dict(install.recipe),
                "state": layout.state,
                "token": install.install.token.reveal() if install.install.token else None,
                "cache": layout.cache,
                "build_user": BUILD_USER if layout.scope == "system" else None,
                "uv": dict(target.uv_tool()),
            },
        )
    target.changed()


@operation()
def write_generation() -> Generator[PyinfraCommand, None, None]:
    """Write the rendered configuration, units and environment files into the generation's own folder."""
    target = Target.of(host)
    if not target.pending.write_generation:
        host.noop("the generation is there")
        return
    generation = target.generation
    yield HostProgram(
        "generation",
        {
            "state": target.plan.layout.state,
            "folder": generation.folder,
            "files": {
                path: [base64.b64encode(file.content).decode(), file.mode] for path, file in generation.files.items()
            },
            "links": dict(generation.links),
            "generated_secrets": [
                {"path": secret.path, "variable": secret.variable, "prefix": secret.prefix}
                for secret in target.plan.generated_secrets
            ],
        },
    )
    target.changed()


@operation()
def activate_generation() -> Generator[PyinfraCommand, None, None]:
    """Switch to the generation, restart exactly the units that run something else, and wait for their answers."""
    target = Target.of(host)
    reasons, layout, generation = target.pending.activate, target.plan.layout, target.generation
    if not reasons:
        host.noop("the generation is active and every unit runs it")
        return
    for reason in reasons:
        host.log(f"activating, as {reason}")
    yield HostProgram(
        "activate",
        {
            "scope": layout.scope,
            "config": layout.config,
            "folder": generation.folder,
            "state": layout.state,
            "units_folder": layout.units,
            "wanted_by": layout.wanted_by,
            "linked_units": list(target.state.linked_units),
            "units": [
                {
                    "name": unit.name,
                    "digest": generation.unit_digests[unit.name],
                    "ready_url": unit.endpoint.ready_url if unit.endpoint else None,
                    "done_file": unit.done_file,
                    "timeout": unit.start_timeout,
                }
                for unit in target.plan.units
            ],
        },
    )
    target.changed()


@operation()
def remove_unused_installs() -> Generator[PyinfraCommand, None, None]:
    """Free the space of installs and models that neither a kept generation nor the inventory uses."""
    target = Target.of(host)
    unused = target.unused_installs
    if not unused:
        host.noop("every install is used")
        return
    yield HostProgram("prune", {"state": target.plan.layout.state, "folders": list(unused)})
    target.changed()
