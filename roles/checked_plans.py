"""The plan of each host of an inventory, checked as a whole: before any host hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from roles.data import UNLOCKED
from roles.host import facts_of_source, given, inventory_file
from roles.host.inventory import InventoryError, stack_of
from roles.lint import lint
from roles.litellm import LITELLM_CONFIG, LITELLM_VARIABLES, LITELLM_VERSION, LiteLLM
from roles.lock import (
    LockContent,
    LockError,
    Reference,
    incomplete,
    lock_file,
    locked_facts,
    pins_of,
    problems,
    read_lock_file,
    references_of,
)
from roles.options import GivenSecret, OptionsError, Stack
from roles.plan import NO_PINS, HostPlan, Member, ProxyLogin, SecretAddress
from roles.rooms import members_of, plan_of


@lru_cache(maxsize=1)
def checked_plans(state: State, *, locked: bool) -> dict[str, HostPlan]:
    """The plans of all hosts of the inventory, those that the run leaves out too: host → plan. Made once for all hosts.

    Args:
        locked: what moves must be in the lock.

    Raises:
        DeployError: a host cannot be deployed to as declared.
    """
    inventory = inventory_file()
    try:
        lock = read_lock_file(lock_file(inventory)) if inventory else None
        members = members_of({each.name: stack_of(each.name, each.data.get("stack")) for each in state.inventory})
    except (LockError, InventoryError, OptionsError) as error:
        raise DeployError(str(error)) from None
    return {each.name: _checked_plan(each, members[each.name], lock, inventory, locked) for each in state.inventory}


def _checked_plan(
    each: Host, member: Member, lock: LockContent | None, inventory: Path | None, locked: bool
) -> HostPlan:
    """
    Raises:
        DeployError: it cannot be deployed as declared.
    """
    stack, place = member.stack, member.place
    try:
        known = locked_facts(lock, facts_of_source)
        plan = plan_of(stack, known=known, place=place)
        references = references_of(plan)
        if locked:
            _check_locked(each, lock, inventory, references)
        if (pins := pins_of(lock, references)) != NO_PINS:
            plan = plan_of(stack, pins, known=known, place=place)
        lint_configuration(plan)
        values = [value for unit in plan.units for value in unit.all_environment.values()]
        secrets = [value for value in values if isinstance(value, GivenSecret)]
        secrets += [client.key for client in stack.clients if isinstance(client.key, GivenSecret)]
        secrets += [install.token for install in plan.installs if install.token]
        for secret in secrets:
            secret.reveal()
        for value in values:
            if isinstance(value, SecretAddress):
                value.address()
        if plan.outbound and isinstance(plan.outbound.proxy, ProxyLogin):
            plan.outbound.proxy.address()
        _check_keys_differ(stack)
    except OptionsError as error:
        raise DeployError(f'host "{each.name}": {error}') from None
    return plan


def _check_locked(
    each: Host, lock: LockContent | None, inventory: Path | None, references: Sequence[Reference]
) -> None:
    """Raises `OptionsError` if something moves that the lock does not have, or is another than is locked."""
    moving, stale = problems(lock, references)
    if given(each, UNLOCKED):
        moving = []
    path = inventory or "INVENTORY"
    run = f"run `python deploys/lock.py {path}`"
    if stale:
        raise OptionsError(
            f"{lock_file(Path(path))} is of another inventory, or of another version of this project: it has something "
            f"else for {', '.join(stale)}; {run}, which shows what changes"
        )
    if moving:
        raise OptionsError(
            f"{', '.join(moving)}: tomorrow it may be something else, and no lock says what is meant; {run} to pin it "
            "as it is now, or let it pass with --data unlocked=yes"
        )
    if each.state.is_host_in_limit(each) and (open_entries := incomplete(lock, references)):
        logger.warning(
            f"{lock_file(Path(path))} does not say everything yet, and a deploy does not need it: "
            f"{', '.join(open_entries)}; {run} with a network to fill it in"
        )


def _check_keys_differ(stack: Stack) -> None:
    """Raises `OptionsError` if two clients have one key: it would not show whose requests are whose."""
    holders: dict[str, str] = {}
    keys = {f'client "{client.name}"': client.key for client in stack.clients}
    if isinstance(stack.gateway, LiteLLM):
        keys["the gateway (`master_key`)"] = stack.gateway.master_key
    for holder, key in keys.items():
        if isinstance(key, GivenSecret) and (other := holders.setdefault(key.reveal(), holder)) != holder:
            raise OptionsError(f"{other} and {holder} have the same key; give each its own")


def lint_configuration(plan: HostPlan) -> None:
    """Raises `OptionsError` if LiteLLM would not do with the rendered configuration what the inventory declares."""
    if LITELLM_CONFIG not in plan.files:
        return  # a host without a gateway
    variables = {name for unit in plan.units if LITELLM_CONFIG in unit.reads for name in unit.environment}
    variables |= LITELLM_VARIABLES | {name for secret in plan.generated_secrets for name in secret.names}
    findings = lint(
        plan.files[LITELLM_CONFIG],
        version=LITELLM_VERSION,
        environment=dict.fromkeys(variables, "set"),
        name=LITELLM_CONFIG,
    )
    findings = [finding for finding in findings if finding.rule not in _INSTALLED]
    wrong = [str(finding) for finding in findings if finding.rule not in _CHOSEN]
    if wrong:
        raise OptionsError(f"what the inventory declares makes a gateway that does not work: {'; '.join(wrong)}")
    for finding in findings:
        logger.warning(str(finding))


_INSTALLED = frozenset({"prometheus-package"})
"""Rules about a package that LiteLLM's environment has, as its lock names it."""
_CHOSEN = frozenset({"fallback-smaller-context"})
"""Rules of the lint whose warnings an inventory may have reasons for. All others are errors in any configuration."""
