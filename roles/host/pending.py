"""What must be done on a host: the difference between the wanted and the actual state. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from roles.contract.state import HostState
from roles.host.cards import card_problems, memory_problems
from roles.host.foreign import in_the_way, to_take_over
from roles.host.state import BUILD_USER
from roles.host.supported import unsupported
from roles.plan import MEGABYTE, Generation, HostPlan, ResolvedInstall


@dataclass(frozen=True)
class Pending:
    """The steps that a host still needs; all empty or false on a converged one."""

    packages: tuple[str, ...]
    build_user: str | None
    users: tuple[str, ...]
    """The users that units run as."""
    linger: bool
    """Whether the user's manager must be enabled to run without a login."""
    installs: tuple[ResolvedInstall, ...]
    write_generation: bool
    stage: bool
    """Whether to try out the gateway before it replaces a running one."""
    activate: tuple[str, ...]
    """Why the generation must be activated; empty = it already runs."""
    restarts: tuple[str, ...]
    """The servers that the activation starts, or starts anew, by their units."""
    take_over: tuple[str, ...]
    """What is moved aside before the activation, by its names: what was asked for, and what a killed run has begun."""
    verify: bool
    """Whether the current generation never passed its verification on this host: the run that should verify it died."""

    @property
    def prepare(self) -> bool:
        """Whether something must be there before installs are made; their folders are created in the same step."""
        return bool(self.packages or self.build_user or self.users or self.linger or self.installs)

    @property
    def anything(self) -> bool:
        return bool(self.prepare or self.write_generation or self.activate or self.verify)


def pending_steps(plan: HostPlan, generation: Generation, state: HostState, take_over: Sequence[str] = ()) -> Pending:
    """What is left to do.

    Args:
        take_over: names of what is not ours and may be moved aside.
    """
    taking = to_take_over(plan, state, take_over)
    missing: dict[str, ResolvedInstall] = {}
    for install in generation.installs:
        if install.folder not in state.installs or install.folder in state.damaged_installs:
            missing.setdefault(install.folder, install)  # two names may lead to one folder
    return Pending(
        packages=state.missing_packages,
        build_user=None if state.build_user else BUILD_USER,
        users=state.missing_users,
        linger=plan.layout.scope == "user" and not state.lingers,
        installs=tuple(missing.values()),
        write_generation=_must_be_written(plan, generation, state),
        stage=_must_be_staged(plan, generation, state),
        activate=(*_reasons_to_activate(plan, generation, state), *(f"{name} is taken over" for name in taking)),
        restarts=_restarts(plan, generation, state),
        take_over=taking,
        verify=not state.verified,
    )


def _must_be_written(plan: HostPlan, generation: Generation, state: HostState) -> bool:
    if any(secret.path not in state.secrets for secret in plan.generated_secrets):
        return True
    if state.generation != generation.digest:
        return True
    wanted = {path: (_sha256(file.content), file.mode, state.uid) for path, file in generation.files.items()}
    wanted |= {path: (target, 0, state.uid) for path, target in generation.links.items()}
    return wanted != state.files


def _must_be_staged(plan: HostPlan, generation: Generation, state: HostState) -> bool:
    if plan.staging is None:
        return False
    running = {name: unit.running_digest for name, unit in state.units.items() if unit.running_digest}
    changed = any(running.get(name) != generation.unit_digests[name] for name in plan.staging.gateways)
    declared = {unit.name for unit in plan.units}
    # A gateway unit may be undeclared now: with another number of instances the names change.
    answering = any(name in plan.staging.gateways or name not in declared for name in running)
    return changed and answering


def _reasons_to_activate(plan: HostPlan, generation: Generation, state: HostState) -> list[str]:
    reasons = []
    if state.generation != generation.digest:
        reasons.append(f"the host has generation {state.generation or 'none'}{_went_back(generation, state)}")
    if state.activated != generation.digest:
        reasons.append("it was not activated to its end")
    if any(secret.path not in state.secrets for secret in plan.generated_secrets):
        reasons.append("a secret of the host is made anew")
    undeclared = set(state.linked_units) - {unit.name for unit in plan.units}
    reasons.extend(f"{name} is no longer declared" for name in sorted(undeclared))
    for unit in plan.units:
        found = state.units.get(unit.name)
        if unit.name not in state.linked_units or found is None:
            reasons.append(f"{unit.name} is not there")
        elif unit.kind != "triggered" and unit.name not in state.wanted_links:
            reasons.append(f"{unit.name} does not start at boot")
        elif found.needs_reload:
            reasons.append(f"{unit.name} was loaded from an older file")
        elif unit.kind == "timer":
            if not found.active:
                reasons.append(f"{unit.name} is not running")
        elif unit.kind != "triggered" and found.running_digest != generation.unit_digests[unit.name]:
            runs = f"runs {found.running_digest}" if found.running_digest else "is not running"
            reasons.append(f"{unit.name} {runs}")
        elif unit.kind == "server" and found.outdated:
            reasons.append(f"{unit.name} runs from files that were replaced since")
    return reasons


def _restarts(plan: HostPlan, generation: Generation, state: HostState) -> tuple[str, ...]:
    found = {unit.name: state.units.get(unit.name) for unit in plan.servers}
    return tuple(
        name
        for name, unit in found.items()
        if unit is None or unit.outdated or unit.running_digest != generation.unit_digests[name]
    )


def _went_back(generation: Generation, state: HostState) -> str:
    """Reports that the host went back from exactly the wanted generation: it is tried once more."""
    last = state.last_event
    if last is None or last["event"] != "rolled back" or last.get("from") != generation.digest:
        return ""
    return f", to which {last['who']} went back from this one at {last['time']} ({last['reason']})"


def unused_installs(generation: Generation, state: HostState) -> tuple[str, ...]:
    """Folders of installs and models that neither a kept generation nor the wanted one uses."""
    wanted = {install.folder for install in generation.installs}
    return tuple(sorted({*state.installs} - {*state.used_installs} - wanted))


def unmet_needs(
    plan: HostPlan,
    generation: Generation,
    state: HostState,
    take_over: Sequence[str] = (),
    *,
    oversized: bool = False,
    new_driver: bool = False,
) -> list[str]:
    """What a deploy cannot fix by itself, each with its fix. Empty = the deploy can start.

    Args:
        take_over: names of what is not ours and may be moved aside.
        oversized: models may be there that by the memory plan do not fit.
        new_driver: the cards get another driver first, with which they are looked at again.
    """
    layout = plan.layout
    problems = unsupported(plan, state)
    if state.user != layout.user:
        how = f"connect as {layout.user}" + (", or set `_sudo` in the inventory" if layout.scope == "system" else "")
        problems.append(f"commands run as {state.user}, but the stack's scope needs {layout.user}: {how}")
    elif layout.scope == "user" and not layout.config.startswith(f"{state.home}/"):
        problems.append(f"{state.user}'s home is {state.home}: set `home` of the UserScope to it")
    if layout.scope == "user" and state.missing_packages:
        packages = " ".join(state.missing_packages)
        problems.append(f"packages are missing: ask an administrator to run `apt-get install {packages}` once")
    problems.extend(in_the_way(plan, state, take_over))
    problems.extend(_disks_too_small(plan, generation, state))
    problems.extend([] if new_driver else card_problems(plan, state))
    if not oversized:
        let_pass = "\n        If you know better, let it pass with --data oversized=yes"
        problems.extend(problem + let_pass for problem in memory_problems(plan, state))
    problems.extend(_wrong_processors(generation, state))
    return problems


def _wrong_processors(generation: Generation, state: HostState) -> list[str]:
    """Programs that others have compiled, for another processor than the host's."""
    here = state.platform["machine"]
    problems = []
    for install in (each.install for each in generation.installs):
        if install.machine not in (None, here):
            problems.append(
                f"{install.title} is for {install.machine}, and its processor is {here}: take the archive for that"
            )
        missing = [flag for flag in install.cpu_flags if flag in state.missing_cpu_flags]
        if missing:
            problems.append(
                f"{install.title} needs {' and '.join(map(str.upper, missing))}, which its processor does not have "
                "(`flags` in /proc/cpuinfo): take another host, or, if it is a virtual machine, give it the type of "
                'the processor itself ("host" in Proxmox, "host-passthrough" in libvirt)'
            )
    return problems


def _disks_too_small(plan: HostPlan, generation: Generation, state: HostState) -> list[str]:
    """Folders whose file system has less room than the missing installs take. Folders on one file system share it."""
    missing = [install.install for install in pending_steps(plan, generation, state).installs]
    needs = {
        plan.layout.installs: sum(install.disk for install in missing),
        plan.layout.cache: sum(install.work_disk for install in missing),
    }
    by_device: dict[int, list[str]] = {}
    for folder, need in needs.items():
        if need:
            by_device.setdefault(state.disks[folder].device, []).append(folder)
    problems = []
    for folders in by_device.values():
        need, free = sum(needs[folder] for folder in folders), state.disks[folders[0]].free
        if need > free:
            problems.append(
                f"{' and '.join(folders)} need{'' if len(folders) > 1 else 's'} {need // MEGABYTE} MB for what is "
                f"to be installed, and {free // MEGABYTE} MB are free: make room (deploys/prune.py frees what is no "
                "longer used), or mount a larger disk there"
            )
    return problems


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
