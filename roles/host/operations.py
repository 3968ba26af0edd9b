"""The operations of a deploy. Each one compares the target with the plan and yields commands for the difference only.

They are few and coarse on purpose. Each costs a round trip if it has something to do, and none otherwise. pyinfra
knows an operation by its line number only, so one operation that takes a list cannot be confused with another.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Literal, TypedDict

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from roles.contract.generation import Scope
from roles.contract.requests import AcquireLock, GoForward, Leave, Prune, ReleaseLock, StageGateway, WriteGeneration
from roles.host.history import KeptGeneration
from roles.host.holder import is_gone, this_process, who_runs_this
from roles.host.program import HostProgram
from roles.host.programs.deploy_lock import described
from roles.host.requests import install_request, system_request
from roles.host.sending import SendFile
from roles.host.target import Target
from roles.plan import STAGED_FOLDER, STAGED_PORT, STAGED_PORTS, Layout


def lock_folder(layout: Layout) -> str:
    return f"{layout.state}/lock"


@operation()
def acquire_lock(
    *, to: Literal["deploy", "prepare", "prune", "go back", "change keys"] = "deploy"
) -> Generator[PyinfraCommand, None, None]:
    """Take the host's deploy lock, if there is anything to do.

    A lock is taken over if it was left behind by a run of the same person on the same machine whose process is gone, or
    if it names no holder. Such a lock counts as something to do: it blocks the deploys of others and suppresses alarms.

    Args:
        to: the purpose. Pruning needs the lock too: the installs of a running deploy that has not written its
            generation yet would look unused.
    """
    target = Target.of(host)
    match to:
        case "deploy":
            anything = target.pending.anything or target.driver.anything
        case "prepare":
            anything = target.pending.prepare
        case "prune":
            anything = bool(target.unused_installs or target.plan.prune_commands)
        case "go back" | "change keys":
            anything = True
    present = target.state.lock
    dead = bool(present) and is_gone(present or {})
    if target.lock_id or not (anything or dead or present == {}):
        host.noop("nothing to do, no lock needed")
        return
    holder = this_process()
    if present and dead:
        host.log(f"taking over the lock of an earlier run of yours that is gone (since {present.get('since')})")
    yield HostProgram(
        AcquireLock(
            folder=lock_folder(target.plan.layout),
            holder=holder,
            take_over=present["id"] if present and dead else None,
        )
    )
    target.lock_id = holder["id"]
    target.changed()


def release_command(target: Target, lock_id: str | None) -> HostProgram:
    """Release the lock if it has that id; none = any lock."""
    return HostProgram(ReleaseLock(folder=lock_folder(target.plan.layout), id=lock_id))


@operation()
def release_lock() -> Generator[PyinfraCommand, None, None]:
    """Release the host's deploy lock, if this run holds it."""
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
    host.log(f"held by {described(target.state.lock)}")
    yield release_command(target, None)
    target.changed()


@operation()
def prepare_system() -> Generator[PyinfraCommand, None, None]:
    """Install missing packages, create users and the folders for installs, enable lingering."""
    target = Target.of(host)
    pending, layout = target.pending, target.plan.layout
    if not pending.prepare:
        host.noop("packages, users and folders are there")
        return
    plan = target.plan
    yield HostProgram(
        system_request(
            layout,
            pending.packages,
            plan.keep_off,
            users=pending.users,
            linger=pending.linger,
            outbound=plan.outbound,
        )
    )
    target.changed()


@operation()
def make_installs() -> Generator[PyinfraCommand, None, None]:
    """Make every missing environment, build and model, beside those in use."""
    target = Target.of(host)
    layout, missing = target.plan.layout, target.pending.installs
    if not missing:
        host.noop("all installs are there")
        return
    for install in missing:
        if install.install.sent_from:
            yield SendFile(install.install.sent_from, install, layout.state)
        yield HostProgram(install_request(layout, install, target.uv_tool(), target.plan.outbound))
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
        WriteGeneration(
            state=target.plan.layout.state,
            scope=target.plan.layout.scope,
            folder=generation.folder,
            files={
                path: (base64.b64encode(file.content).decode(), file.mode) for path, file in generation.files.items()
            },
            links=generation.links,
            generated_secrets=target.plan.generated_secrets,
        )
    )
    target.changed()


@operation()
def wait_for_backends() -> Generator[PyinfraCommand, None, None]:
    """Nothing by itself. pyinfra begins an operation once all hosts that have it are done with those before it: only
    one that all have keeps those of some hosts before those of others."""
    host.noop("hosts without a gateway come before those with one")
    return
    yield


@operation()
def stage_gateway() -> Generator[PyinfraCommand, None, None]:
    """Try out the new gateway beside the running one, before anything is switched."""
    target = Target.of(host)
    layout, generation, staging = target.plan.layout, target.generation, target.plan.staging
    if staging is None or not target.pending.stage:
        host.noop("the gateway stays as it is, or none answers yet")
        return
    yield HostProgram(
        StageGateway(
            scope=layout.scope,
            state=layout.state,
            who=who_runs_this(),
            folder=generation.folder,
            unit=staging.unit,
            text=staging.text,
            folder_placeholder=STAGED_FOLDER,
            port_placeholder=STAGED_PORT,
            environment=staging.environment,
            verifier=staging.verifier,
            ready_path=staging.ready_path,
            ports=STAGED_PORTS,
            timeout=staging.start_timeout,
            stale=tuple(
                name
                for name, digest in generation.unit_digests.items()
                if name not in target.state.units or target.state.units[name].running_digest != digest
            ),
        )
    )


@operation()
def activate_generation() -> Generator[PyinfraCommand, None, None]:
    """Switch to the generation, restart exactly the units that run something else, and wait until they are ready.

    If it does not come up, the generation that worked before is activated again, and the operation still fails.
    """
    target = Target.of(host)
    pending = target.pending
    if not pending.activate:
        host.noop("the generation is active and every unit runs it")
        return
    for reason in pending.activate:
        host.log(f"activating, as {reason}")
    yield from _go_to(target, target.generation.digest, by_hand=False, take_over=pending.take_over)
    target.restarted = pending.restarts


@operation()
def go_back(*, to: KeptGeneration) -> Generator[PyinfraCommand, None, None]:
    """Switch to a kept generation in the same way."""
    target = Target.of(host)
    if to.name == target.state.generation == target.state.activated:
        host.noop(f"generation {to.name} is active")
        return
    yield from _go_to(target, to.name, by_hand=True)
    host.log("the next deploys/full.py goes forward again, to what the inventory says")


@operation()
def leave_generations() -> Generator[PyinfraCommand, None, None]:
    """Go back to before the first generation, and give back what was taken over for it."""
    target = Target.of(host)
    state = target.state
    if state.generation is None and not state.linked_units and not state.foreign.taken_over:
        host.noop("the host has no generation")
        return
    yield HostProgram(Leave(**activation(target, state.generation)))
    target.changed()
    host.log("the next deploys/full.py goes forward again, to what the inventory says")


def _go_to(
    target: Target, generation: str, *, by_hand: bool, take_over: tuple[str, ...] = ()
) -> Generator[PyinfraCommand, None, None]:
    found = target.state.generation
    # What changes a unit of ours does so until the unit starts again.
    outdated = {name for name, unit in target.state.units.items() if unit.outdated} | {*take_over}
    yield HostProgram(
        GoForward(
            **activation(target, found),
            folder=f"{target.plan.layout.generations}/{generation}",
            by_hand=by_hand,
            outdated=tuple(sorted(outdated)),
            take_over=take_over,
        )
    )
    target.found, target.activated = found, generation
    target.changed()


class ActivationFields(TypedDict):
    """The fields of `roles.contract.requests.Activation` that are the same for every activation of a host."""

    scope: Scope
    state: str
    config: str
    generations: str
    units_folder: str
    wanted_by: str
    found: str | None
    who: str
    taken_over: str


def activation(target: Target, found: str | None) -> ActivationFields:
    """What every activation needs besides the generation's folder.

    Args:
        found: the generation that was current when the run began.
    """
    layout = target.plan.layout
    return {
        "scope": layout.scope,
        "state": layout.state,
        "config": layout.config,
        "generations": layout.generations,
        "units_folder": layout.units,
        "wanted_by": layout.wanted_by,
        "found": found,
        "who": who_runs_this(),
        "taken_over": layout.taken_over,
    }


@operation()
def remove_unused_installs() -> Generator[PyinfraCommand, None, None]:
    """Free the space of installs and models that neither a kept generation nor the inventory uses.

    Servers that keep models of their own, such as Ollama, are asked to remove those that are not declared.
    """
    target = Target.of(host)
    unused, commands = target.unused_installs, target.plan.prune_commands
    if not unused and not commands:
        host.noop("every install is used")
        return
    yield HostProgram(
        Prune(state=target.plan.layout.state, folders=unused, commands=commands),
    )
    target.changed()
