"""The stack: everything that one host should run, checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field, SerializeAsAny, model_validator

from roles.options.base import Many, Options, nearest
from roles.options.clients import Client
from roles.options.driver import NvidiaDriver
from roles.options.journal import Journal
from roles.options.local_only import leak_of
from roles.options.money import Price
from roles.options.outbound import Outbound
from roles.options.routes import Deployment, Route
from roles.options.secrets import GivenSecret, Secret
from roles.options.service import Cache, Gateway, MeteredProvider, ModelServer, Monitor, Provider, Service
from roles.options.spelling import spelled
from roles.options.values import HostAddress, MemorySize, ModelName, ModelsFolder
from roles.options.verification import Verification

LoginName = Annotated[str, spelled("[a-z_][a-z0-9_-]{0,31}", 'login name in lower case, such as "ai"')]
HomeFolder = Annotated[str, spelled(r"/\S*", 'whole path, such as "/srv/ai"')]


class SystemScope(Options):
    """Units of the system manager, files under /etc, /opt and /var: needs root (or sudo) on the host."""

    former: ClassVar[Mapping[str, str]] = {"kind": "remove it; the name of the group says it"}


class UserScope(Options):
    """Units of one user's own manager, files under that user's XDG folders: needs no root once lingering is enabled."""

    former: ClassVar[Mapping[str, str]] = {"kind": "remove it; the name of the group says it"}

    user: LoginName = Field(examples=['user="ai"'])
    """Login name; pyinfra connects as this user."""
    home: HomeFolder | None = Field(None, examples=['home="/srv/ai"'])
    """The user's home folder; none = /home/<user>."""

    @property
    def home_folder(self) -> str:
        return self.home or f"/home/{self.user}"


_OF_A_GATEWAY = ("routes", "aliases", "clients", "cache")
"""Options that a host without a gateway has no use for."""


class Stack(Options):
    """What a host runs: providers, the gateway in front of them, and the routes through it. Without a gateway, gateways
    of other hosts use its providers; without providers, its gateway uses theirs."""

    providers: Many[SerializeAsAny[Provider]] = Field(
        (), examples=['providers=[Ollama(release=OllamaRelease(version="0.32.15"), models=["llama3.1:latest"])]']
    )
    """What answers: the model servers of the host, and those that others run."""
    gateway: SerializeAsAny[Gateway] | None = Field(
        None, examples=['gateway=LiteLLM(master_key=EnvSecret("LITELLM_MASTER_KEY"))']
    )
    """The LiteLLM gateway; none = its providers are for gateways of other hosts."""
    routes: Many[Route] = Field(
        (), examples=['routes=[Route(name="llama3.1:latest", deployments=[Deployment(provider="ollama")])]']
    )
    """The public model names of its gateway."""
    address: HostAddress | None = Field(None, examples=['address="10.0.0.5"'])
    """The host's own address in the network between the hosts of the inventory: there its providers listen that
    gateways of other hosts use, and from there its gateway asks theirs; none = it has to do with none of them."""
    aliases: dict[ModelName, ModelName] = Field(
        default_factory=dict, examples=['aliases={"gpt-4o": "llama3.1:latest"}']
    )
    """Further public names: alias → public name or other alias."""
    clients: Many[Client] = Field((), examples=['clients=[Client(name="ada", routes=["llama3.1:latest"], rpm=60)]'])
    """The people and programs that use the endpoint, each with its own key; none = they share the `master_key`."""
    cache: SerializeAsAny[Cache] | None = Field(None, examples=["cache=Redis()"])
    """The gateway's cache; none = every request goes to a provider, and no state is shared."""
    monitoring: SerializeAsAny[Monitor] | None = Field(None, examples=["monitoring=Monitoring()"])
    """What collects metrics of everything on the host and raises alerts; none = nothing does, and nothing shows any."""
    services: Many[SerializeAsAny[Service]] = Field((), examples=["services=[StatusPage()]"])
    """Further services beside those, such as an exporter of metrics, of your own types (see CONTRIBUTING.md): they run
    and are verified, but no route needs them."""
    memory: MemorySize | None = Field(None, examples=['memory="16G"'])
    """Main memory of the host, to plan with before it is there; none = it is compared once the host is read."""
    scope: SystemScope | UserScope = Field(SystemScope(), examples=['scope=UserScope(user="ai")'])
    """Which systemd manager runs it."""
    outbound: Outbound | None = Field(None, examples=['outbound=Outbound(proxy="http://proxy.example.com:3128")'])
    """How the host reaches what it fetches; none = directly, with the authorities that it trusts itself."""
    models_folder: ModelsFolder | None = Field(None, examples=['models_folder="/data/models"'])
    """A folder of the host, on another disk, for the models that a deploy fetches or sends; none = beside its other
    state. It must be there, and of root alone (in user scope, of the user). After a change of it, models are copied
    from where they were, and nothing is removed until it is pruned. Ollama keeps what it pulls beside its state."""
    verification: Verification = Field(Verification(), examples=["verification=Verification(every=300)"])
    """How the host verifies itself."""
    driver: NvidiaDriver | None = Field(None, examples=['driver=NvidiaDriver(version="535")'])
    """The driver of NVIDIA's cards as part of the deploy; none = it is found and checked, and never touched."""
    journal: Journal | None = Field(None, examples=['journal=Journal(max_size="8G", keep_days=30)'])
    """Bounds on the host's journal; none = it is as the host has it."""

    @property
    def servers(self) -> tuple[ModelServer, ...]:
        """Those of the providers that the host runs."""
        return tuple(provider for provider in self.providers if isinstance(provider, ModelServer))

    @property
    def all_services(self) -> tuple[Service, ...]:
        single = [service for service in (self.cache, self.gateway, self.monitoring) if service]
        return (*self.servers, *single, *self.services)

    def provider(self, name: str) -> Provider:
        return next(provider for provider in self.providers if provider.name == name)

    def public_name(self, name: ModelName) -> ModelName:
        """The route that a public name or alias leads to."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def names_for(self, client: Client) -> tuple[ModelName, ...]:
        """The public names and aliases that a client may use; empty = all."""
        routes = {self.public_name(name) for name in client.routes}
        names = (*(route.name for route in self.routes), *self.aliases)
        return tuple(name for name in names if self.public_name(name) in routes)

    def route(self, name: ModelName) -> Route:
        """The route that a public name or alias leads to."""
        return next(route for route in self.routes if route.name == self.public_name(name))

    def fallbacks_of(self, route: Route) -> tuple[ModelName, ...]:
        """The routes to try when all deployments of one fail."""
        if route.no_fallbacks:
            return ()
        default = [name for name in self._default_fallbacks if self.route(name).mode == route.mode]
        names = [self.public_name(name) for name in route.fallbacks or default]
        return tuple(name for name in dict.fromkeys(names) if name != route.name)

    def context_window_fallbacks_of(self, route: Route) -> tuple[ModelName, ...]:
        """The routes to try when a request is too long for one: without those whose declared context is no longer than
        that one's."""
        names = route.context_window_fallbacks or self.fallbacks_of(route)
        return tuple(self.public_name(name) for name in names if not self._is_no_longer(self.route(name), route))

    def content_policy_fallbacks_of(self, route: Route) -> tuple[ModelName, ...]:
        """The routes to try when one refuses a request for its content."""
        return tuple(self.public_name(name) for name in route.content_policy_fallbacks or self.fallbacks_of(route))

    @property
    def _default_fallbacks(self) -> Sequence[ModelName]:
        return self.gateway.default_fallbacks if self.gateway else ()

    @staticmethod
    def _is_no_longer(other: Route, route: Route) -> bool:
        return bool(other.context_size and route.context_size and other.context_size <= route.context_size)

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Stack:
        if not self.gateway and (given := [name for name in _OF_A_GATEWAY if getattr(self, name)]):
            raise ValueError(
                f"it has {' and '.join(f'`{name}`' for name in given)}, and no `gateway` to use them; give it one: "
                "gateway=LiteLLM()"
            )
        if self.gateway and not self.routes:
            raise ValueError("it has a `gateway` without `routes`; give it some, or remove the gateway")
        if not self.gateway and not self.servers:
            raise ValueError("it runs nothing; give it `providers`, or a `gateway` with `routes`")
        return self

    @model_validator(mode="after")
    def _only_root_installs_a_driver(self) -> Stack:
        if self.driver and isinstance(self.scope, UserScope):
            raise ValueError(
                "`driver` needs root, which user scope does not have; remove it, and have an administrator install the "
                "driver, or take SystemScope()"
            )
        return self

    @model_validator(mode="after")
    def _only_root_bounds_the_journal(self) -> Stack:
        if self.journal and isinstance(self.scope, UserScope):
            raise ValueError("`journal` needs root, which user scope does not have; remove it, or take SystemScope()")
        return self

    @model_validator(mode="after")
    def _services_are_beside_the_others(self) -> Stack:
        for service in self.services:
            for kind, option in (
                (Provider, "providers"),
                (Cache, "cache"),
                (Gateway, "gateway"),
                (Monitor, "monitoring"),
            ):
                if isinstance(service, kind):
                    raise ValueError(f"`services` has {service}, which belongs in `{option}`; move it there")
        return self

    @model_validator(mode="after")
    def _services_do_not_collide(self) -> Stack:
        by_name: dict[str, Service | Provider] = {}
        every: list[Service | Provider] = [*self.all_services, *self.providers]
        for named in every:
            if (other := by_name.setdefault(named.name, named)) is not named:
                raise ValueError(f'{named} and {other} share the name "{named.name}"; rename one of them')
        by_port: dict[int, tuple[str, Service]] = {}
        for service in self.all_services:
            for bind, port in service.addresses:
                other_bind, other_service = by_port.get(port, ("", service))
                if bind == other_bind or (other_bind and "0.0.0.0" in (bind, other_bind)):
                    raise ValueError(
                        f"{service} and {other_service} both listen on port {port}; give one of them another `port`"
                    )
                by_port[port] = (bind, service)
        return self

    @model_validator(mode="after")
    def _gpu_memory_is_promised_once(self) -> Stack:
        named: set[str | None] = {uuid for provider in self.servers if provider.cards for uuid in provider.cards.uuids}
        for uuid in named or {None}:
            takers = [
                (provider, share)
                for provider in self.servers
                if provider.cards
                and (share := provider.gpu_memory_share())
                and (uuid is None or not provider.cards.uuids or uuid in provider.cards.uuids)
            ]
            if round(sum(share for _, share in takers), 6) > 1:
                shares = ", ".join(f"{provider} {share:g}" for provider, share in takers)
                raise ValueError(
                    f"more than all memory of {'the GPU' if uuid is None else uuid} is promised ({shares}); lower "
                    "`gpu_memory_utilization`, or give them different cards with `gpus=Gpus(uuids=[…])`"
                )
        return self

    @model_validator(mode="after")
    def _routes_are_unique_and_served(self) -> Stack:
        seen: set[str] = set()
        for route in self.routes:
            if route.name in seen:
                raise ValueError(
                    f'duplicate public name "{route.name}": two routes declare it; '
                    "make it one route with two deployments, or rename one"
                )
            seen.add(route.name)
            for deployment in route.deployments:
                self._check_deployment(route, deployment.provider, deployment.model)
                same = [other for other in route.deployments if other.provider == deployment.provider]
                if len({other.model for other in same}) < len(same):
                    raise ValueError(
                        f'route "{route.name}" names the same model of provider "{deployment.provider}" twice; '
                        "remove one, or give the other more `weight`"
                    )
        return self

    def _check_deployment(self, route: Route, provider_name: str, model: str | None) -> None:
        names = [provider.name for provider in self.providers]
        if "/" in provider_name:
            return  # what other hosts have is known once all stacks are
        if provider_name not in names:
            raise ValueError(
                f'route "{route.name}" names the provider "{provider_name}", which the stack does not have'
                f"{nearest(provider_name, names)} (it has {', '.join(names) or 'none'})"
            )
        served = self.provider(provider_name).served()
        if model is None and len(served) != 1:
            raise ValueError(
                f'route "{route.name}": provider "{provider_name}" serves {len(served)} models; '
                f"say which with `model` (it serves {', '.join(served)})"
            )
        if model is not None and model not in served:
            raise ValueError(
                f'route "{route.name}": provider "{provider_name}" does not serve "{model}"{nearest(model, served)} '
                f"(it serves {', '.join(served)})"
            )

    @model_validator(mode="after")
    def _aliases_end_at_a_route(self) -> Stack:
        routes = {route.name for route in self.routes}
        for alias in self.aliases:
            if alias in routes:
                raise ValueError(f'duplicate public name "{alias}": it is a route and an alias; rename the alias')
            path = [alias]
            while (target := self.aliases.get(path[-1])) is not None:
                path.append(target)
                if target in path[:-1]:
                    raise ValueError(
                        f"alias cycle: {' -> '.join(path)}; let one of them name a route ({', '.join(sorted(routes))})"
                    )
            if path[-1] not in routes:
                raise ValueError(
                    f'alias "{path[-2]}" leads to "{path[-1]}", which is no public name'
                    f"{nearest(path[-1], routes)} (routes: {', '.join(sorted(routes))})"
                )
        return self

    @model_validator(mode="after")
    def _fallbacks_exist(self) -> Stack:
        for route in self.routes:
            for option in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
                for fallback in getattr(route, option):
                    self._check_fallback(route, option, fallback)
        for fallback in self._default_fallbacks:
            self._check_public_name(f"{self.gateway}: `default_fallbacks` names", fallback)
        return self

    def _check_fallback(self, route: Route, option: str, fallback: ModelName) -> None:
        said = f'route "{route.name}" falls back to'
        self._check_public_name(said, fallback)
        other = self.route(fallback)
        if other is route:
            raise ValueError(f'{said} itself; remove "{fallback}" from `{option}`')
        if other.mode != route.mode:
            raise ValueError(
                f'{said} "{fallback}", whose mode is {other.mode} and not {route.mode}; remove it from `{option}`'
            )
        if option == "context_window_fallbacks" and self._is_no_longer(other, route):
            raise ValueError(
                f'{said} "{fallback}" when a request is too long, and its `context_size` of {other.context_size} is '
                f"no larger than {route.context_size}; name one with a larger context"
            )

    @model_validator(mode="after")
    def _clients_differ(self) -> Stack:
        by_name: dict[str, Client] = {}
        by_key: dict[Secret, Client] = {}
        for client in self.clients:
            if client.name in by_name:
                raise ValueError(f'two clients are called "{client.name}"; rename one of them')
            by_name[client.name] = client
            if isinstance(client.key, GivenSecret):
                if (other := by_key.get(client.key)) is not None:
                    raise ValueError(
                        f'clients "{other.name}" and "{client.name}" have the same key, from {client.key.source()}; '
                        "give each its own"
                    )
                by_key[client.key] = client
            for name in client.routes:
                self._check_public_name(f'client "{client.name}": `routes` names', name)
        return self

    @model_validator(mode="after")
    def _budgets_can_be_spent(self) -> Stack:
        for client in self.clients:
            routes = {self.public_name(name) for name in client.routes} or {route.name for route in self.routes}
            names = {name for route in routes for name in (route, *self._stand_ins(route))}
            if client.budget and not any(self._price(each) for name in names for each in self.route(name).deployments):
                raise ValueError(
                    f'client "{client.name}" has a `budget`, but nothing that it may use has a price: give the '
                    f"deployments of {', '.join(sorted(routes))} a `price`, or remove the budget"
                )
        for route in self.routes:
            for deployment in route.deployments:
                provider = None if deployment.host else self.provider(deployment.provider)
                if isinstance(provider, MeteredProvider) and provider.budget and not self._price(deployment):
                    raise ValueError(
                        f'{provider} has a `budget`, and its deployment of route "{route.name}" has no price: what it '
                        "costs would not count; give the deployment a `price`, or remove the budget"
                    )
        return self

    def _price(self, deployment: Deployment) -> Price | None:
        if deployment.host:
            return deployment.price
        provider = self.provider(deployment.provider)
        return deployment.price or provider.price_of(deployment.model or provider.served()[0])

    def _stand_ins(self, name: ModelName) -> tuple[ModelName, ...]:
        """The routes that may answer for one, directly."""
        route = self.route(name)
        lists = (self.fallbacks_of, self.context_window_fallbacks_of, self.content_policy_fallbacks_of)
        return tuple(other for each in lists for other in each(route))

    @model_validator(mode="after")
    def _local_routes_stay_local(self) -> Stack:
        for route in self.routes:
            if route.local_only and (leak := leak_of(self, route)):
                raise ValueError(leak)
        return self

    def _check_public_name(self, said: str, name: ModelName) -> None:
        names = {route.name for route in self.routes} | set(self.aliases)
        if name not in names:
            raise ValueError(
                f'{said} "{name}", which is no public name{nearest(name, names)} '
                f"(public names: {', '.join(sorted(names))})"
            )

    @model_validator(mode="after")
    def _context_windows_grow(self) -> Stack:
        """A request that was too long for a route is still too long for it if a fallback leads back."""

        followed: set[ModelName] = set()

        def follow(path: tuple[ModelName, ...]) -> None:
            # Each route once: there may be far more ways through them than routes.
            if path[-1] in followed:
                return
            followed.add(path[-1])
            for name in self.route(path[-1]).context_window_fallbacks:
                target = self.public_name(name)
                if target in path:
                    raise ValueError(
                        f"cycle of `context_window_fallbacks`: {' -> '.join([*path, target])}; "
                        "let the one with the largest context have none"
                    )
                follow((*path, target))

        for route in self.routes:
            follow((route.name,))
        return self
