"""What the files in `deploys/` call: the whole job, and its parts, for pyinfra's current host."""

from __future__ import annotations

from typing import Any

from pyinfra import host, state
from pyinfra.api import Host, State
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.exceptions import DeployError
from pyinfra.api.state import BaseStateCallback

from roles.checked_plans import checked_plans
from roles.contract.clients import KeysState
from roles.contract.measured import RouteSpeed
from roles.contract.trace import FoundRequest
from roles.data import AT_ONCE, GENERATION, OVERSIZED, REPORT, REQUEST, ROTATE, TAKE_OVER, VERIFY
from roles.host import (
    CHANGED_SPEED,
    ClientKeys,
    History,
    HostHistory,
    KeptGeneration,
    LoggedRequest,
    NoteStep,
    StandardInput,
    Target,
    acquire_lock,
    activate_generation,
    break_lock,
    changes,
    check_names,
    described,
    given,
    go_back,
    guard_terminal,
    history_request,
    install_driver,
    keys_request,
    leave_generations,
    make_installs,
    make_keys,
    memory_problems,
    notes,
    prepare_system,
    reboot_host,
    release_command,
    release_lock,
    remove_unused_installs,
    stage_gateway,
    trace_request,
    verify_routes,
    wait_for_backends,
    way_of,
    write_generation,
)
from roles.plan import NO_GENERATION
from roles.verify import nothing_of


def full() -> None:
    """Build or rebuild the host, then verify it.

    What is not ours and is in the way ends the run before its first change, with what there is to choose.
    `--data take_over=NAME,…` moves it aside, by the names that `preflight` prints; `rollback` gives it back.

    What moves, such as a branch, must be in the inventory's lock; `--data unlocked=yes` lets it pass.

    A `driver` that must be installed comes first, and the host is rebooted for it.

    Hosts without a gateway come before those with one, and are switched to their generations one after the other or
    (`--data at_once=yes`) all at once.
    """
    target = _target(locked=True)
    _check(target)
    for line in _changes(target):
        host.log(f"changes {line}")
    acquire_lock(name="Take the deploy lock")
    prepare_system(name="Prepare the system")
    if target.driver_state:
        install_driver(name="Install the NVIDIA driver")
    make_installs(name="Make installs")
    write_generation(name="Write the generation")
    apis = host.data.stack.verification.apis
    if not target.plan.gateways:
        one_by_one = not given(host, AT_ONCE)
        activate_generation(name="Activate the generation of the providers", _serial=one_by_one)
        verify_routes(name="Verify the providers", deploying=True, apis=apis, more=CHANGED_SPEED)
    if not all(plan.gateways for plan in checked_plans(state, locked=True).values()):
        wait_for_backends(name="Wait for the providers of other hosts")
    if target.plan.gateways:
        stage_gateway(name="Stage the gateway")
        activate_generation(name="Activate the generation")
        verify_routes(name="Verify every route", deploying=True, apis=apis, more=CHANGED_SPEED)
    release_lock(name="Give the deploy lock back")


def prepare() -> None:
    """Install packages and make installs and models, as `full` would, then stop: what is running stays unchanged."""
    target = _target(locked=True)
    _check(target)
    if target.driver.comes and target.plan.gpus:
        raise DeployError(
            f"{host.name}: its NVIDIA driver comes first, and what is built depends on the cards: run deploys/full.py"
        )
    acquire_lock(name="Take the deploy lock", to="prepare")
    prepare_system(name="Prepare the system")
    make_installs(name="Make installs")
    release_lock(name="Give the deploy lock back")


def verify() -> None:
    """Verify the host as it is, and report what changed since it was last verified.

    Changes nothing, except that it adds to the host's kept verdicts. `--data report=FOLDER` writes the verdict in all
    its forms there, in a folder of the host's name. `--data verify=apis` also asks each route as client programs do, by
    its abilities, and with their mistakes. `--data verify=faults` (fault injection) does change something, and clients
    notice. It stops backends, one route after the other, to see that the fallbacks answer, and starts them again.
    """
    _target()
    more = given(host, VERIFY)
    verify_routes(name="Verify every route", report=given(host, REPORT), more=more)


def reboot() -> None:
    """Reboot the hosts, one after the other or (`--data at_once=yes`) all at once; report how soon each route answers;
    verify them."""
    _target()
    one_by_one = not given(host, AT_ONCE)
    reboot_host(name="Reboot and verify every route", one_by_one=one_by_one, _serial=one_by_one)


def preflight() -> None:
    """Report what a deploy would do to the host, or what prevents it. Changes nothing."""
    target = _target(locked=True)
    for line in notes(target.plan, target.state):
        host.log(f"note: {line}")
    _check(target)
    pending = target.pending
    steps = [
        *([f"install packages: {' '.join(pending.packages)}"] if pending.packages else []),
        *([f"make the user {pending.build_user}"] if pending.build_user else []),
        *(f"make the user {user}" for user in pending.users),
        *target.driver.lines,
        *([f"let {target.plan.layout.user}'s services run without a login"] if pending.linger else []),
        *(f"make {install.install.title}" for install in pending.installs),
        *([f"write generation {target.generation.digest}"] if pending.write_generation else []),
        *(["try out the new gateway beside the one that answers"] if pending.stage else []),
        *(
            f"take over {name}: stop it, and move its files to {target.plan.layout.taken_over}"
            for name in pending.take_over
        ),
        *(f"activate, as {reason}" for reason in pending.activate),
        *(["verify the generation, which no run has done yet"] if pending.verify and not pending.activate else []),
    ]
    for unit in target.plan.servers:
        if unit.callers is not None and target.plan.layout.scope == "user":
            host.log(
                f"warning: {unit.name} asks for no login, and only root could close port {unit.endpoint.port} to other "
                "users of the host: in user scope it is open to them"
            )
    for step in steps:
        host.log(f"would {step}")
    for line in _changes(target):
        host.log(f"would change {line}")
    if not steps:
        host.log("nothing to do")


def rollback() -> None:
    """Go back to the last generation that passed, or to the one in `--data generation=…`, and verify it.

    What was taken over after that generation is given back. `--data generation=none` goes back to before the first one:
    the stack is stopped, and everything that was taken over is given back.
    """
    target = _target()
    wanted = given(host, GENERATION)
    if wanted == NO_GENERATION:
        acquire_lock(name="Take the deploy lock", to="go back")
        leave_generations(name="Go back to before the first generation")
        release_lock(name="Give the deploy lock back")
        return
    to = _history(target).choose(wanted)
    acquire_lock(name="Take the deploy lock", to="go back")
    go_back(name="Go back to an earlier generation", to=to)
    verify_routes(name="Verify every route", deploying=True)
    release_lock(name="Give the deploy lock back")


def history() -> None:
    """List the generations that the host keeps, newest first. Changes nothing."""
    found = _history(_target())
    for generation in found.generations:
        for line in _entry(generation, found.before(generation)):
            host.log(line.replace("\n", " "))
    if not found.generations:
        host.log("no generation is kept here")


def trace() -> None:
    """Show the way of one request through the host, from `--data request=ID`. Changes nothing.

    The id is in `x-request-id` of each answer, and in the body of each error. What is shown are the lines that the
    front, LiteLLM and vLLM logged under it; the other servers log no ids.
    """
    target = _target()
    name = given(host, REQUEST)
    if name is None:
        raise DeployError(f"give the id that the client got in x-request-id: --data {REQUEST.example}")
    asked = StandardInput(trace_request(target.plan, name))
    found: FoundRequest | None = host.get_fact(LoggedRequest, _stdin=asked)
    if found is None:
        raise DeployError(f"{host.name}: its journal cannot be read, see above")
    for line in way_of(found, target.plan):
        host.log(line)
    if not found.lines:
        host.log(nothing_of(found, name))


def clients() -> None:
    """List the clients, and make the keys that are missing: each is shown once.

    `--data rotate=NAME` gives a client a new key, and its former one is refused from then on.
    """
    target = _target()
    rotate = given(host, ROTATE)
    found: KeysState | None = host.get_fact(ClientKeys, _stdin=StandardInput(keys_request(target.plan.layout)))
    if found is None:
        raise DeployError(f"{host.name}: its clients cannot be read, see above")
    declared = host.data.stack.clients
    for client in declared:
        host.log(described(client, found))
    for name in sorted({*found.with_key, *found.without_key} - {client.name for client in declared}):
        host.log(f"{name}: no longer in the inventory; the next deploys/full.py refuses its key")
    if not declared:
        host.log("the inventory declares no clients")
    if found.without_key or rotate:
        acquire_lock(name="Take the deploy lock", to="change keys")
        make_keys(name="Make keys", rotate=rotate)
        release_lock(name="Give the deploy lock back")


def _check(target: Target) -> None:
    """Refuse a host that cannot be deployed to, but for what `--data take_over=…` names and `oversized=yes` allows."""
    target.take_over = given(host, TAKE_OVER) or ()
    target.oversized = given(host, OVERSIZED) or False
    if target.oversized:
        for problem in memory_problems(target.plan, target.state):
            host.log(f"warning: {problem}")
    target.check()


def _changes(target: Target) -> list[str]:
    """What the inventory changes in comparison with what the host runs; empty if it runs nothing yet."""
    if target.state.generation in (None, target.generation.digest):
        return []
    active = _history(target).active
    return changes(active, KeptGeneration.planned(target.generation)) if active else []


def _history(target: Target) -> History:
    found: History | None = host.get_fact(HostHistory, _stdin=StandardInput(history_request(target.plan.layout)))
    if found is None:
        raise DeployError(f"{host.name}: its history cannot be read, see above")
    return found


def _entry(generation: KeptGeneration, before: KeptGeneration | None) -> list[str]:
    active = "  ACTIVE" if generation.active else ""
    gone = [f"cannot be activated: {name} is gone" for name in generation.missing_installs]
    changed = changes(before, generation) or ["nothing that shows"] if before else ["the oldest that is kept"]
    return [
        f"{generation.time}  {generation.name}  by {generation.who or 'nobody that is remembered'}{active}",
        *(f"    {line}" for line in [generation.outcome or "its verification is still to come", *gone, *changed]),
        *(f"    speed of {each.route}: {_speed(each)}" for each in generation.speeds),
    ]


def _speed(speed: RouteSpeed) -> str:
    return f"{speed.words}; slower: {speed.slower}" if speed.slower else speed.words


def prune() -> None:
    """Free the space of installs and models that neither a kept generation nor the inventory uses."""
    _target()
    acquire_lock(name="Take the deploy lock", to="prune")
    remove_unused_installs(name="Remove unused installs")
    release_lock(name="Give the deploy lock back")


def unlock() -> None:
    """Break the host's deploy lock, whoever holds it."""
    _target()
    break_lock(name="Break the deploy lock")


def _target(*, locked: bool = False) -> Target:
    """The host's target, made once the whole inventory is known to be valid.

    Args:
        locked: what moves must be in the inventory's lock.

    Raises:
        DeployError: a host of the inventory cannot be deployed as declared. No host has received a command yet.
    """
    guard_terminal()
    check_names(state)
    plans = checked_plans(state, locked=locked)
    if not any(isinstance(handler, _ReleaseLockOnFailure) for handler in state.callback_handlers):
        state.add_callback_handler(_ReleaseLockOnFailure())  # type: ignore[no-untyped-call]
        state.add_callback_handler(NoteStep())  # type: ignore[no-untyped-call]
    target = Target(host, plans[host.name])
    target.attach()
    return target


class _ReleaseLockOnFailure(BaseStateCallback):
    """A failed run releases the lock at once, so that the next one need not take it over."""

    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        if not Target.is_attached(host) or (target := Target.of(host)).lock_id is None:
            return
        given: dict[str, Any] = dict(state.get_op_data_for_host(host, op_hash).global_arguments)
        arguments = {key: value for key, value in given.items() if key in CONNECTOR_ARGUMENT_KEYS}
        try:
            release_command(target, target.lock_id).execute(state, host, arguments)  # type: ignore[arg-type]
        except Exception as error:
            # The connection may be what failed. The next run of the same person takes the lock over.
            host.log(f"the deploy lock could not be given back: {error}")
        target.lock_id = None
