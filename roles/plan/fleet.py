"""The fleet: what the hosts of an inventory have to do with each other, resolved from the stacks of all of them.

A route of one host may name a provider of another as `HOST/NAME`. Its gateway then gets that provider's address, key
and abilities; the other host has the provider listen on its `address`, closed to all but the gateways that use it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from roles.options import Deployment, GivenSecret, KeyedProvider, ModelServer, OptionsError, Route, Stack, UserScope
from roles.options.base import nearest
from roles.plan.backends import AskedModel, Backend, Login, ServerBackend


@dataclass(frozen=True)
class Place:
    """A host's place among the others.

    Attributes:
        backends: `HOST/NAME` → that provider of another host, as this host's gateway reaches it.
        callers: name of a provider → the addresses of the other hosts whose gateways use it.
        asked: name of a provider → what these gateways ask it for.
    """

    backends: Mapping[str, Backend] = field(default_factory=dict)
    callers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: Mapping[str, tuple[AskedModel, ...]] = field(default_factory=dict)


ALONE = Place()
"""A host that has to do with no other."""


@dataclass(frozen=True)
class Member:
    """A host of a fleet: its stack, with its providers at the addresses where others reach them, and its place."""

    stack: Stack
    place: Place


BackendOf = Callable[[Stack, ModelServer], ServerBackend]
"""Plans one provider of a stack."""


@dataclass(frozen=True)
class _Use:
    """A deployment of one host that is a provider of another."""

    user: str
    route: Route
    deployment: Deployment
    provider: ModelServer
    """At the address where others reach it."""

    @property
    def model(self) -> str:
        return self.deployment.model or self.provider.served()[0]


def fleet_of(stacks: Mapping[str, Stack], backend_of: BackendOf) -> dict[str, Member]:
    """Host → its stack and place.

    Args:
        stacks: host → its stack, of the whole inventory.
        backend_of: plans a provider.

    Raises:
        OptionsError: a host names a provider that it cannot use. The message names both hosts.
    """
    uses = list(_uses(stacks))
    if not uses:
        return {name: Member(stack, ALONE) for name, stack in stacks.items()}
    _refuse_same_addresses(stacks, uses)
    used = {use.deployment.provider: use for use in uses}
    moved = {name: _moved(name, stack, used) for name, stack in stacks.items()}
    backends = {name: _backend(moved[use.deployment.host], use, backend_of) for name, use in used.items()}
    by_user: dict[str, dict[str, Backend]] = {}
    by_provider: dict[str, list[_Use]] = {}
    for use in uses:
        by_user.setdefault(use.user, {})[use.deployment.provider] = backends[use.deployment.provider]
        by_provider.setdefault(use.deployment.provider, []).append(use)
    of_host: dict[str, dict[str, list[_Use]]] = {}
    for name, each in by_provider.items():
        host, _, provider = name.rpartition("/")
        of_host.setdefault(host, {})[provider] = each
    return {
        name: Member(
            stack,
            Place(
                backends=by_user.get(name, {}),
                callers={
                    provider: tuple(sorted({str(stacks[use.user].address) for use in each}))
                    for provider, each in of_host.get(name, {}).items()
                },
                asked={provider: _asked(each) for provider, each in of_host.get(name, {}).items()},
            ),
        )
        for name, stack in moved.items()
    }


def _uses(stacks: Mapping[str, Stack]) -> Iterator[_Use]:
    for name, stack in stacks.items():
        for route in stack.routes:
            for deployment in route.deployments:
                if deployment.host:
                    yield _use(name, route, deployment, stacks)


def _use(user: str, route: Route, deployment: Deployment, stacks: Mapping[str, Stack]) -> _Use:
    """
    Raises:
        OptionsError: the deployment cannot be used.
    """
    host, _, name = deployment.provider.rpartition("/")
    said = f'host "{user}": route "{route.name}" names the provider "{deployment.provider}"'
    if host == user:
        raise OptionsError(f'{said} of its own host; write provider="{name}"')
    if host not in stacks:
        raise OptionsError(
            f'{said}, and the inventory has no host "{host}"{nearest(host, list(stacks))} (it has {", ".join(stacks)})'
        )
    other = stacks[host]
    names = [provider.name for provider in other.providers]
    if name not in names:
        raise OptionsError(
            f'{said}, and host "{host}" has no such provider{nearest(name, names)} '
            f"(it has {', '.join(names) or 'none'})"
        )
    provider = other.provider(name)
    if not isinstance(provider, ModelServer):
        raise OptionsError(f'{said}, and {provider} of host "{host}" is run by others; declare it on "{user}" too')
    _check_model(said, host, provider, deployment)
    _check_hosts(said, user, stacks[user], host, other)
    if isinstance(provider, KeyedProvider) and not isinstance(provider.api_key, GivenSecret):
        raise OptionsError(
            f'{said}, whose key is made on host "{host}", where no other host has it; give {provider} an '
            '`api_key` of both, such as api_key=EnvSecret("BACKEND_API_KEY")'
        )
    return _Use(user, route, deployment, _reached(provider, other))


def _check_model(said: str, host: str, provider: ModelServer, deployment: Deployment) -> None:
    served = provider.served()
    if deployment.model is None and len(served) != 1:
        raise OptionsError(
            f"{said}, which serves {len(served)} models; say which with `model` (it serves {', '.join(served)})"
        )
    if deployment.model is not None and deployment.model not in served:
        raise OptionsError(
            f'{said}, and {provider} of host "{host}" does not serve "{deployment.model}"'
            f"{nearest(deployment.model, served)} (it serves {', '.join(served)})"
        )


def _check_hosts(said: str, user: str, of_user: Stack, host: str, other: Stack) -> None:
    if other.address is None:
        raise OptionsError(f'{said}, and host "{host}" has no `address` to listen on; give its Stack one')
    if of_user.address is None:
        raise OptionsError(
            f'{said}, and host "{user}" has no `address`, which alone the firewall of "{host}" would let through; '
            "give its Stack one"
        )
    if isinstance(other.scope, UserScope):
        raise OptionsError(
            f'{said}, and host "{host}" is of user scope, in which no firewall closes its ports to all others; '
            "give it SystemScope()"
        )


def _refuse_same_addresses(stacks: Mapping[str, Stack], uses: Sequence[_Use]) -> None:
    found: dict[str, str] = {}
    for name in dict.fromkeys(name for use in uses for name in (use.user, use.deployment.host)):
        address = str(stacks[name].address)
        if (other := found.setdefault(address, name)) != name:
            raise OptionsError(f'hosts "{other}" and "{name}" have the same `address`, {address}; give each its own')


def _reached(provider: ModelServer, stack: Stack) -> ModelServer:
    """The provider at the address where others reach it: its host's, unless it listens on another one alone."""
    if provider.is_local or provider.bind == "0.0.0.0":
        return provider.model_copy(update={"bind": stack.address})
    return provider


def _moved(name: str, stack: Stack, used: Mapping[str, _Use]) -> Stack:
    """The stack of a host with the used ones of its providers as they listen for others.

    Raises:
        OptionsError: something else listens there.
    """
    moving = {
        each.name: used[f"{name}/{each.name}"].provider
        for each in stack.servers
        if each.is_local and f"{name}/{each.name}" in used
    }
    if not moving:
        return stack
    providers = [moving.get(each.name, each) for each in stack.providers]
    given = {option: getattr(stack, option) for option in stack.model_fields_set}
    try:
        return Stack(**{**given, "providers": providers})
    except OptionsError as error:
        problem = str(error).rpartition("Stack: ")[2]
        raise OptionsError(f'host "{name}", with what other hosts use at {stack.address}: {problem}') from None


def _backend(stack: Stack, use: _Use, backend_of: BackendOf) -> Backend:
    own = backend_of(stack, use.provider)
    login = None
    if own.login:
        variable = _key_variable(use.deployment.provider)
        login = Login(own.login.secret, file="", server_variable=variable, client_variable=variable)
    return Backend(
        provider=use.deployment.provider,
        kind=own.kind,
        prefixes=own.prefixes,
        api_base=own.api_base,
        models=own.models,
        login=login,
        abilities=own.abilities,
        host=use.deployment.host,
        # As Ollama has it, where the address is one without `/v1`.
        listing="openai" if own.api_base.endswith("/v1") else "ollama",
    )


def _key_variable(name: str) -> str:
    """Two names that differ in punctuation alone get variables of their own."""
    words = re.sub("[^A-Z0-9]+", "_", name.upper()).strip("_")
    return f"AI_BACKEND_KEY_{words}_{hashlib.sha256(name.encode()).hexdigest()[:6].upper()}"


def _asked(uses: Sequence[_Use]) -> tuple[AskedModel, ...]:
    """What gateways ask a provider for, each model and mode once."""
    found = {(use.model, use.route.mode): use.route.asked for use in uses}
    return tuple(AskedModel(model, mode, probe) for (model, mode), probe in found.items())
