"""A provider's unit, and the provider as the gateway reaches it: what all model servers have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from roles.contract.abilities import Abilities
from roles.contract.manifest import PLAIN, CardWeights, KeptModel, Traits
from roles.contract.modes import MODES
from roles.options import Gpus, KeyedProvider, Mode, ModelServer, ModelSource, OptionsError
from roles.plan.backends import Login, MetricsPage, ServerBackend
from roles.plan.compile import HostContext
from roles.plan.firewall import load_command
from roles.plan.installs import Install
from roles.plan.model import ServicePlan
from roles.plan.models import host_models, model_install
from roles.plan.outbound import server_outbound
from roles.plan.unit_file import unit_file
from roles.plan.units import STOP_SECONDS, Endpoint, ServerUnit


@dataclass(frozen=True)
class Dialect:
    """How to talk to a kind of model server.

    Attributes:
        kind: its name in the manifest.
        prefixes: LiteLLM's provider prefix for each of its modes; for chats one that keeps tools and templates.
        api_path: what follows the address in `api_base`.
        ready_path: gives status 200 once it is ready, without a key.
        key_variable: the variable from which it reads the key that it requires.
        metrics_path: where it shows its metrics, with that key; none = it has none.
        traits: how it behaves, for the verifier.
    """

    kind: str
    prefixes: Mapping[Mode, str]
    api_path: str
    ready_path: str
    key_variable: str | None = None
    metrics_path: str | None = None
    traits: Traits = PLAIN


def openai_prefixes(*modes: Mode) -> dict[Mode, str]:
    """LiteLLM's provider prefixes for a server that speaks OpenAI's API in these modes."""
    return {mode: MODES[mode].prefix for mode in modes}


def provider_plan(
    provider: ModelServer,
    context: HostContext,
    dialect: Dialect,
    *,
    unit: str,
    template: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    fetches: bool = False,
    installs: Sequence[Install],
    models: Sequence[ModelSource] = (),
    packages: Sequence[str] = (),
    reads: Mapping[str, str] | None = None,
    stop_seconds: int = STOP_SECONDS,
    weights: Sequence[CardWeights] = (),
    kept_models: Sequence[KeptModel] = (),
    abilities: Mapping[str, Abilities],
    version: str = "",
    queue: int | None = None,
) -> ServicePlan:
    """The plan of a provider that consists of one unit.

    Args:
        unit: name of its unit.
        template: the unit's template, below `templates`.
        command: the program and its arguments.
        environment: variables that are not secret.
        fetches: it fetches something from other hosts while it runs, by the way that the stack gives.
        installs: what it runs from, besides its models.
        models: the models that it reads.
        packages: Debian packages that making or running it needs.
        stop_seconds: how long a stop may take before systemd kills it.
        reads: files that the process reads from the generation: path → text.
        weights, kept_models, abilities, version, queue: as in `ServerBackend`.
    """
    address = f"http://{provider.reachable_at}:{provider.port}"
    login = _login(provider, context, dialect, unit)
    way = server_outbound(context.outbound if fetches else None, context.layout)
    secrets = {**(login.given(login.server_variable) if login else {}), **way.secrets}
    read = {**(reads or {}), **way.reads}
    gpus = provider.cards
    needed = tuple({each.name: each for each in (*installs, *map(model_install, models))}.values())
    variables = {**environment, **way.environment, **_visible_cards(gpus)}
    _refuse_given_twice(provider, {*variables, *secrets})
    peers = context.callers.get(provider.name)
    planned = ServerUnit(
        name=unit,
        text=unit_file(
            template,
            layout=context.layout,
            unit=unit,
            service=provider,
            command=command,
            environment={**variables, **provider.environment},
            secrets=secrets,
            environment_files=login.files if login else (),
            gpus=gpus,
            gpu_memory_share=provider.gpu_memory_share(),
            memory_max=provider.memory_max,
            before_gateway=True,
            stop_seconds=stop_seconds,
            loopback_only=provider.is_local and not fetches,
            models=models,
            firewall=load_command(context.layout) if peers else (),
        ),
        environment=secrets,
        reads=tuple(read),
        installs=tuple(install.name for install in needed),
        start_timeout=provider.start_timeout + (gpus.wait if gpus else 0),
        endpoint=Endpoint(provider.bind, provider.port, address + dialect.ready_path),
        stop_timeout=stop_seconds,
        peers=tuple(peers) if peers else None,
    )
    return ServicePlan(
        units=(planned,),
        installs=needed,
        host_models=host_models(models, context.layout),
        packages=(*packages, *_card_packages(gpus)),
        files=read,
        generated_secrets=login.generated if login else (),
        backend=ServerBackend(
            provider=provider.name,
            kind=dialect.kind,
            unit=planned,
            prefixes=dialect.prefixes,
            api_base=address + dialect.api_path,
            models=provider.served(),
            gpus=gpus,
            traits=dialect.traits,
            kept_models=tuple(kept_models),
            weights=tuple(weights),
            login=login,
            abilities=abilities,
            version=version,
            queue=queue,
        ),
        gpus=gpus,
        pages=_pages(provider, context, dialect, login),
    )


def _pages(
    provider: ModelServer, context: HostContext, dialect: Dialect, login: Login | None
) -> tuple[MetricsPage, ...]:
    if context.monitoring is None or dialect.metrics_path is None:
        return ()
    address = f"{provider.reachable_at}:{provider.port}"
    return (MetricsPage(dialect.kind, provider.name, address, dialect.metrics_path, login=login),)


def _refuse_given_twice(provider: ModelServer, of_the_plan: Collection[str]) -> None:
    """
    Raises:
        OptionsError: the inventory gives a variable that the plan gives too.
    """
    for name in provider.environment:
        if name in of_the_plan:
            raise OptionsError(f"{provider}: `environment`: `{name}` is given by the plan itself; remove it")


def _login(provider: ModelServer, context: HostContext, dialect: Dialect, unit: str) -> Login | None:
    if not isinstance(provider, KeyedProvider) or dialect.key_variable is None:
        return None
    return Login(
        provider.api_key,
        context.layout.secret_file(unit),
        server_variable=dialect.key_variable,
        client_variable=f"{provider.name.upper().replace('-', '_')}_API_KEY",
    )


def _card_packages(gpus: Gpus | None) -> tuple[str, ...]:
    """Debian's udev creates the group `render` and gives it AMD's device files; without it the unit lacks the group."""
    return ("udev",) if gpus and gpus.vendor == "amd" else ()


def _visible_cards(gpus: Gpus | None) -> dict[str, str]:
    """The variables that show a process its cards and no others."""
    if gpus is None or not gpus.uuids:
        return {}
    cards = ",".join(gpus.uuids)
    return {"CUDA_VISIBLE_DEVICES": cards} if gpus.vendor == "nvidia" else {"ROCR_VISIBLE_DEVICES": cards}
