"""The plan of each host of an inventory, checked as a whole: before any host hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyinfra import host, logger
from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from roles.data import UNLOCKED
from roles.host import facts_of_source, given
from roles.host.inventory import InventoryError, stack_of
from roles.lint import lint
from roles.litellm import LITELLM_CONFIG, LITELLM_VARIABLES, LITELLM_VERSION, LiteLLM
from roles.lock import (
    LockContent,
    Reference,
    incomplete,
    lock_file,
    locked_facts,
    pins_of,
    problems,
    references_of,
)
from roles.options import GivenSecret, OptionsError, Stack
from roles.plan import HostPlan, ProxyLogin, SecretAddress
from roles.rooms import plan_of


def checked_plan(each: Host, lock: LockContent | None, inventory: Path | None, *, locked: bool) -> HostPlan:
    """The plan of a host of the inventory.

    Args:
        lock: what is locked.
        inventory: its file; none = not known.
        locked: what moves must be in the lock.

    Raises:
        DeployError: it cannot be deployed as declared.
    """
    try:
        stack = stack_of(each.name, each.data.get("stack"))
    except InventoryError as error:
        raise DeployError(str(error)) from None
    try:
        plan = plan_of(stack)
        references = references_of(plan)
        if locked:
            _check_locked(each, lock, inventory, references)
        plan = plan_of(stack, pins_of(lock, references), known=locked_facts(lock, facts_of_source))
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
    # For each host all are planned.
    if each.name == host.name and (open_entries := incomplete(lock, references)):
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
