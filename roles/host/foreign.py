"""What is on a host, is not ours, and is in the way: what it is, whose it is, and what there is to choose. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roles.contract.foreign import SYSTEM, Container, ForeignFile, ForeignFolder, ForeignUnit, FoundUser, Listener
from roles.contract.state import HostState
from roles.host.programs.foreign.units import drop_in_folders, is_packaged
from roles.host.state import BUILD_USER
from roles.options.base import nearest
from roles.plan import HostPlan


@dataclass(frozen=True)
class Foreign:
    """Something that is in the way.

    Attributes:
        name: by which `--data take_over=…` takes it; empty = only people can move it.
        text: for people: what it is, whose, and what there is to choose.
    """

    name: str
    text: str


def in_the_way(plan: HostPlan, state: HostState, take_over: Sequence[str] = ()) -> list[str]:
    """What is to be said before a deploy may begin: each thing that nobody has decided about, and each name in
    `take_over` that means nothing here."""
    found = foreign_things(plan, state)
    decided = {*take_over, *_begun(state)}
    problems = [each.text for each in found if each.name not in decided]
    names = [each.name for each in found if each.name]
    known = {*names, *_known(plan, state)}
    for name in take_over:
        if name not in known:
            hint = nearest(name, [*names, *known]) or f"; there is {', '.join(names) or 'nothing to take over'}"
            problems.append(f'take_over: nothing in the way is called "{name}"{hint}')
    return problems


def to_take_over(plan: HostPlan, state: HostState, take_over: Sequence[str]) -> tuple[str, ...]:
    """The names of what the deploy has to move aside: what is there of those given, and what a killed run has begun."""
    there = {each.name for each in foreign_things(plan, state)}
    return tuple(dict.fromkeys([*_begun(state), *(name for name in take_over if name in there)]))


def notes(plan: HostPlan, state: HostState) -> list[str]:
    """What is not ours and stays as it is, for people to know."""
    lines = []
    for name in state.foreign.others:
        lines.append(f"{name} runs here and is not ours: it stays as it is, and the stack runs the program of the same "
                     "package under a unit of its own")  # fmt: skip
    own = {*plan.users, BUILD_USER}
    for user in state.foreign.users:
        if user.name not in own:
            lines.append(
                f"the user {user.name} ({_account(user)}) is there and is not ours: no unit of the stack runs as it"
            )
    for record in state.foreign.taken_over:
        began = "was taken over" if record.finished else "is half taken over, which the next deploys/full.py finishes,"
        lines.append(
            f"{record.name} {began} at {record.time} by {record.who} and lies in {plan.layout.taken_over}: "
            "deploys/rollback.py to before that gives it back"
        )
    return lines


def foreign_things(plan: HostPlan, state: HostState) -> list[Foreign]:
    """Everything that is in the way of a plan on a host."""
    units = [each for unit in state.foreign.units for each in _unit(plan, state, unit)]
    named = {each.name for each in units}
    return [
        *units,
        *(each for each in _listeners(plan, state) if each.name not in named),
        *(_folder(plan, folder) for folder in state.foreign.folders),
        *(each for user in state.foreign.users for each in _user(plan, user)),
    ]


def _begun(state: HostState) -> list[str]:
    return [record.name for record in state.foreign.taken_over if not record.finished]


def _known(plan: HostPlan, state: HostState) -> list[str]:
    """Names that mean something although nothing of that name is in the way, as on the other hosts of an inventory."""
    records = [record.name for record in state.foreign.taken_over]
    return [*records, *(unit.name for unit in plan.units), plan.layout.config]


def _unit(plan: HostPlan, state: HostState, unit: ForeignUnit) -> Iterator[Foreign]:
    own = drop_in_folders(unit.name)
    drop_ins = [each for each in unit.drop_ins if any(f"/{folder}/" in each.path for folder in own)]
    shared = [each for each in unit.drop_ins if each not in drop_ins]
    if not all(is_packaged(Path(each.path)) for each in unit.files) or unit.active or unit.enabled or drop_ins:
        text = _unit_text(state, unit, drop_ins)
        if _is_the_administrators(plan, state, unit):
            yield Foreign("", f"{text}. It lies outside of the home: have an administrator remove it")
        else:
            yield Foreign(unit.name, f"{text}. Choose: {_choice(unit, drop_ins)}")
    for each in shared:
        yield Foreign(
            "",
            f"{_file(each)} changes {unit.name} and all units whose names begin alike, and is not ours: ours would "
            "run with it. Remove it, or give it the names of the units that it is for",
        )


def _unit_text(state: HostState, unit: ForeignUnit, drop_ins: Sequence[ForeignFile]) -> str:
    """What it is, and whose."""
    with_drop_ins = f"the drop-in{'s' if len(drop_ins) > 1 else ''} {', '.join(map(_file, drop_ins))}"
    if _is_masked(unit):
        mask = (
            f"{unit.name} is masked, by the link {_file(unit.files[0])}: somebody has seen to it that nothing of that"
        )
        return f"{mask} name starts{f', and there is {with_drop_ins}' if drop_ins else ''}"
    if unit.files or unit.active or unit.enabled:
        what = f"{unit.name} is there and is not ours: {', '.join(_facts(state, unit))}"
        return what + (f". {with_drop_ins[0].upper()}{with_drop_ins[1:]} would change ours" if drop_ins else "")
    return f"{with_drop_ins} would change our {unit.name}, and {'are' if len(drop_ins) > 1 else 'is'} not ours"


def _choice(unit: ForeignUnit, drop_ins: Sequence[ForeignFile]) -> str:
    take = f"`--data take_over={unit.name}`"
    if _is_masked(unit):
        keep = "deploys/full.py moves the link aside, and deploys/rollback.py puts it back"
        return f"{take} ({keep}); or `systemctl unmask {unit.name}`"
    if unit.files or unit.active or unit.enabled:
        keep = f"deploys/full.py stops it and keeps its files, and deploys/rollback.py gives it back{_models(unit)}"
        return f"{take} ({keep}); or remove it yourself, or give the service another `name` and `port` in the inventory"
    them = "them" if len(drop_ins) > 1 else "it"
    keep = f"deploys/full.py moves {them} aside, and deploys/rollback.py puts {them} back"
    return f"{take} ({keep}); or remove {them} yourself, and say in the inventory what it is for"


def _is_masked(unit: ForeignUnit) -> bool:
    return bool(unit.files) and unit.files[0].masks


def _facts(state: HostState, unit: ForeignUnit) -> Iterator[str]:
    description = f' ("{unit.description}")' if unit.description and unit.description != unit.name else ""
    if unit.files:
        yield f"{_file(unit.files[0])}{description}"
    if unit.program:
        yield f"runs {unit.program}{f' as user {unit.user}' if unit.user else ''}"
    yield "is running" if unit.active else "is stopped"
    held = [
        port for port, each in state.ports.items() if any(one.unit == unit.name and not one.manager for one in each)
    ]
    if held and unit.active:
        yield f"has port {', '.join(held)}"
    if unit.enabled:
        yield "starts at boot"


def _models(unit: ForeignUnit) -> str:
    return "; its models stay where they are" if unit.program.endswith("/ollama") else ""


def _is_the_administrators(plan: HostPlan, state: HostState, unit: ForeignUnit) -> bool:
    files = [each.path for each in (*unit.files, *unit.drop_ins)]
    return plan.layout.scope == "user" and any(not path.startswith((f"{state.home}/", "/run/user/")) for path in files)


def _file(file: ForeignFile) -> str:
    by = f"of package {file.package}" if file.package else f"{file.owner}'s"
    return f"{file.path} ({by}{f', a link to {file.target}' if file.target and not file.masks else ''})"


def _listeners(plan: HostPlan, state: HostState) -> Iterator[Foreign]:
    undeclared = {unit.name for unit in plan.units} - {*state.linked_units}
    for service, port in ((unit.name, port) for unit in plan.servers for port in unit.endpoint.ports):
        for each in state.ports.get(str(port), ()):
            if not each.manager and not each.container and each.unit in state.linked_units:
                continue
            if not each.manager and each.unit in undeclared and each.unit not in {u.name for u in state.foreign.units}:
                continue  # it has just begun to run, or ends
            taken, choice, name = _taken(plan, each)
            yield Foreign(
                name,
                f"port {port}, which {service} needs, is taken by {taken}: {choice}, "
                "or give the service another `port`",
            )


def _taken(plan: HostPlan, each: Listener) -> tuple[str, str, str]:
    """Who has a port, what to do about it, and the name to take it over by."""
    process = (
        f"process {each.pid} ({each.process}) of user {each.user}" if each.pid else "a process that cannot be seen"
    )
    if each.container:
        return f"the container {_container(each.container)}", _stop(each.container, each.user), ""
    if each.manager == SYSTEM:
        what = f"{each.unit or 'a socket unit'} of the host's own systemd manager, {process}"
        stop = f"run `systemctl disable --now {each.unit}`" if each.unit else "stop that"
        return what, f"have an administrator {stop}", ""
    if each.manager and not each.unit:
        return (
            f"a socket unit of {each.manager}'s own systemd manager, {process}",
            f"stop that (`systemctl --user list-sockets` as {each.manager} shows which)",
            "",
        )
    if each.unit and each.manager:
        name = f"{each.manager}:{each.unit}"
        how = f"`systemctl --user disable --now {each.unit}` as {each.manager}"
        whose = f"{each.unit} of {each.manager}'s own systemd manager, {process}"
        return whose, _or_take_over(plan, how, name), name if _is_root(plan) else ""
    if each.unit:
        flags = "" if plan.layout.scope == "system" else "--user "
        how = f"`systemctl {flags}disable --now {each.unit}`"
        return f"{each.unit}, {process}", _or_take_over(plan, how, each.unit), each.unit
    return process, "stop that" if not each.pid else f"stop that (`kill {each.pid}`, and what starts it)", ""


def _container(container: Container) -> str:
    if container.name:
        return f'"{container.name}" ({container.engine}, image {container.image})'
    return f"{container.id or 'whose name cannot be read'} ({container.engine})"


def _stop(container: Container, user: str) -> str:
    if container.engine not in ("docker", "podman"):
        return "stop it"
    name = container.name or container.id or "NAME"
    as_whom = f" as {user}" if user and user != "root" else ""
    return f"`{container.engine} stop {name}`{as_whom}, and see that nothing starts it again"


def _or_take_over(plan: HostPlan, how: str, name: str) -> str:
    if ":" in name and not _is_root(plan):
        return how
    return (
        f"`--data take_over={name}` (deploys/full.py stops and disables it, deploys/rollback.py undoes that); or {how}"
    )


def _is_root(plan: HostPlan) -> bool:
    return plan.layout.scope == "system"


def _folder(plan: HostPlan, folder: ForeignFolder) -> Foreign:
    entries = f" with {', '.join(folder.entries)}" if folder.entries else ""
    is_what = f"{folder.kind} of user {folder.owner}{entries}, changed {folder.changed}"
    what = f"{folder.path} is there and is not ours: {is_what}"
    by_hand = f"`mv {folder.path} {folder.path}.before`, once nothing uses it"
    if folder.path == plan.layout.config:
        keep = "deploys/full.py moves it aside, and deploys/rollback.py puts it back"
        return Foreign(folder.path, f"{what}. Choose: `--data take_over={folder.path}` ({keep}); or {by_hand}")
    return Foreign("", f"{what}. The stack needs that place for itself: {by_hand}")


def _user(plan: HostPlan, user: FoundUser) -> Iterator[Foreign]:
    own: Mapping[str, str] = {**dict.fromkeys(plan.users, "/nonexistent"), BUILD_USER: plan.layout.cache}
    if user.name in own and (user.home != own[user.name] or not user.shell.endswith("nologin")):
        yield Foreign(
            "",
            f"the user {user.name} ({_account(user)}) is there and is not as the stack makes it: units would run as "
            "somebody else's user. Rename or remove it",
        )


def _account(user: FoundUser) -> str:
    return f"number {user.uid}, home {user.home}, shell {user.shell}"
