"""The gateway's part of a host plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

from roles.contract.clients import CLIENTS_FILE
from roles.contract.manifest import AUTHORITIES_FILE, MODELS_FILE, Canary
from roles.contract.recipes import FilesRecipe
from roles.contract.usage import USAGE_FILE, USAGE_FOLDER
from roles.litellm.config import (
    CACHE_COOLDOWN,
    CACHE_COOLDOWN_VARIABLE,
    CACHE_NAMESPACE_VARIABLE,
    CANARY,
    MASTER_KEY_VARIABLE,
    canary_target,
    clients_file,
    litellm_config,
    staged_config,
)
from roles.litellm.front import SERVERS, drain_of, front_of, front_plan
from roles.litellm.options import LiteLLM
from roles.litellm.requests.names import INSTANCE_KEY_VARIABLE, LIMITS_VARIABLE, MODELS_VARIABLE, USAGE_VARIABLE
from roles.litellm.start_litellm import AUTHORITIES_VARIABLE
from roles.litellm.tls import tls_of
from roles.options import GeneratedSecret
from roles.plan import (
    FRONT_USER,
    GATEWAY_INSTANCES,
    GATEWAY_USER,
    MEGABYTE,
    PROMETHEUS_USER,
    STAGED_FOLDER,
    STAGED_PORT,
    VERIFIER,
    VERIFIER_ENVIRONMENT,
    Endpoint,
    EnvValue,
    GatewayContext,
    GatewayPlan,
    GeneratedVariable,
    Install,
    Layout,
    Login,
    MetricsPage,
    ServerUnit,
    ServicePlan,
    Staging,
    python_env,
    read_lock,
    render,
    sources_of,
    unit_file,
)

_REQUESTS = "gateway-requests"
"""Name of the install with the code of ours that LiteLLM calls."""

VERSION = "1.106.2"
"""Newest release whose whole dependency set resolved when it was pinned. Never below 1.84.0 (CVE-2026-42271,
CVE-2026-47101, CVE-2026-49468), never 1.82.7 or 1.82.8 (compromised on the package index)."""

CONFIG = "litellm-unified.yaml"
_START = "bin/start-litellm"
STAGED_CONFIG = "litellm-staged.yaml"

_READY_PATH = "/health/liveliness"
_MEMORY = "25%"
"""Of the host's memory: an instance takes 350 MB, and large requests must not take memory from the model servers."""
_STAGED_UNIT = "ai-backend-staged.service"
_LONGEST_QUESTIONS = 1800
"""Seconds after its start for which a staged gateway may get requests."""

_PROCESS_ENVIRONMENT = {
    # No `.env` from the working folder, no price list from the network: only what the generation contains.
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # No connection to a backend is reused. llama.cpp closes a connection after 100 requests or 5 idle seconds, the
    # Python servers after 5 idle seconds. A request that LiteLLM sends at that moment is lost ("Server disconnected",
    # "Cannot write to closing transport") and counts as a failure of the backend. Under load that put healthy backends
    # into cooldown.
    "AIOHTTP_KEEPALIVE_TIMEOUT": "0",
    # These pages require no key.
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
}
_LEAN_METRICS = {"PROMETHEUS_DISABLE_CREATED_SERIES": "True"}
"""Without a second series for each, of when it began."""
PUBLIC_VARIABLES = frozenset(
    {
        *(*_PROCESS_ENVIRONMENT, *_LEAN_METRICS, MODELS_VARIABLE, LIMITS_VARIABLE, USAGE_VARIABLE),
        *(CACHE_NAMESPACE_VARIABLE, CACHE_COOLDOWN_VARIABLE, AUTHORITIES_VARIABLE),
    }
)
"""Names of the variables that a process of the gateway may have besides its secrets."""


def plan_gateway(gateway: LiteLLM, context: GatewayContext) -> ServicePlan:
    """The instances and their front."""
    layout = context.layout
    environment = python_env(
        "litellm",
        "litellm",
        VERSION,
        requirements=read_lock("litellm", f"litellm-{VERSION}"),
        disk=720 * MEGABYTE,
        work_disk=600 * MEGABYTE,
    )
    # LiteLLM accepts only keys that begin with "sk-".
    instance_key = GeneratedVariable(
        path=f"{layout.secrets}/instance-key.env",
        variable=INSTANCE_KEY_VARIABLE,
        prefix="sk-",
        # Instances of the version before use the clients' key: it stays valid for them until they are replaced.
        inherited_from=(*GATEWAY_INSTANCES, "litellm.service"),
        inherited_as=MASTER_KEY_VARIABLE,
    )
    generated: tuple[GeneratedVariable, ...] = (instance_key,)
    client_key = GeneratedVariable(path=f"{layout.secrets}/master-key.env", variable=MASTER_KEY_VARIABLE, prefix="sk-")
    if isinstance(gateway.master_key, GeneratedSecret):
        generated = (instance_key, client_key)
    secrets: dict[str, EnvValue] = {}
    environment_files = [instance_key.path]
    asked = {deployment.backend.provider for route in context.routes for deployment in route.deployments}
    # A server without a route, such as one that is being tried, does not belong to the gateway and restarts none of it.
    reached = [backend for backend in context.backends if backend.provider in asked]
    authorities = "".join(dict.fromkeys(backend.authorities for backend in reached if backend.authorities))
    logins = [backend.login for backend in reached]
    logins += [context.cache[1].login] if context.cache else []
    for login in filter(None, logins):
        secrets |= login.given(login.client_variable)
        environment_files += login.files
    process = _Process(
        gateway,
        layout,
        environment,
        secrets,
        environment_files,
        bool(context.cache),
        bool(context.monitoring),
        all(address.startswith("http://127.") for address in [backend.api_base for backend in context.backends])
        and (not context.cache or context.cache[0].reachable_at.startswith("127.")),
        bool(authorities),
    )
    instances = tuple(
        replace(process.unit(name, "127.0.0.1", port), drain=drain_of(gateway, server))
        for (server, name), port in zip(SERVERS.items(), gateway.instance_ports, strict=False)
    )
    front = front_plan(gateway, layout, context.clients, instance_key.path, client_key.path, context.monitoring)
    (endpoint,) = front.servers
    canary = canary_target(gateway, context.routes)
    config = litellm_config(gateway, context)
    key_file = client_key.path if client_key in generated else endpoint.environment_file
    return ServicePlan(
        units=(*front.units, *instances),
        installs=(environment, _request_sources()),
        packages=("python3-venv", *front.packages),
        keep_off=front.keep_off,
        host_files=front.host_files,
        files={
            CONFIG: render(f"litellm/{CONFIG}.j2", config=config),
            _START: (resources.files("roles") / "litellm" / "start_litellm.py").read_text(),
            STAGED_CONFIG: render(f"litellm/{CONFIG}.j2", config=staged_config(config)),
            CLIENTS_FILE: clients_file(context.clients),
            **({AUTHORITIES_FILE: authorities} if authorities else {}),
            **front.files,
        },
        generated_secrets=generated,
        gateway=GatewayPlan(
            endpoint=endpoint,
            instances=instances,
            url=gateway.local_url,
            key_file=key_file,
            key_variable=MASTER_KEY_VARIABLE,
            instance_key_file=instance_key.path,
            instance_key_variable=INSTANCE_KEY_VARIABLE,
            instance_url=f"http://127.0.0.1:{gateway.instance_ports[0]}",
            cooldown=gateway.cooldown,
            cache_cooldown=CACHE_COOLDOWN,
            shares_by_weight=gateway.routing_strategy == "simple-shuffle",
            front=front_of(gateway, endpoint),
            canary=Canary(CANARY, canary.name) if canary else None,
            tls=tls_of(gateway.tls, endpoint.endpoint.local_port)
            if gateway.tls and endpoint.endpoint.local_port
            else None,
        ),
        staging=_staging(process, [unit.name for unit in instances]),
        pages=(*front.pages, *_pages(instances, instance_key)) if context.monitoring else (),
    )


def _pages(instances: Sequence[ServerUnit], key: GeneratedVariable) -> Iterator[MetricsPage]:
    """The metrics of each instance, which is one process: all of its requests are in them."""
    login = Login(GeneratedSecret(), key.path, key.variable, key.variable)
    for unit in instances:
        name = unit.name.removesuffix(".service")
        # Without the slash at its end LiteLLM answers with a redirection.
        yield MetricsPage("litellm", name, f"{unit.endpoint.bind}:{unit.endpoint.port}", "/metrics/", login=login)


def _request_sources() -> Install:
    sources = dict.fromkeys(("roles/__init__.py", "roles/litellm/__init__.py"), "")
    for package in ("contract", "litellm/requests"):
        sources |= sources_of(resources.files("roles").joinpath(package), f"roles/{package}")
    return Install(name=_REQUESTS, title="the gateway's request checks", recipe=FilesRecipe(files=sources))


@dataclass(frozen=True)
class _Process:
    """What all processes of the gateway have in common."""

    gateway: LiteLLM
    layout: Layout
    environment: Install
    secrets: Mapping[str, EnvValue]
    environment_files: Sequence[str]
    has_cache: bool
    is_monitored: bool
    asks_local_only: bool
    """All backends, and the cache, are reached over loopback."""
    has_authorities: bool
    """It trusts further ones."""

    def unit(self, name: str, bind: str, port: int) -> ServerUnit:
        address = self.gateway.reachable_at if bind == self.gateway.bind else bind
        return ServerUnit(
            name=name,
            text=self.text(
                name,
                self.layout,
                "litellm/litellm.service.j2",
                bind,
                str(port),
                usage=f"{self.layout.state}/{USAGE_FILE}",
            ),
            environment=self.secrets,
            reads=(CONFIG, _START, *((AUTHORITIES_FILE,) if self.has_authorities else ())),
            installs=(self.environment.name, _REQUESTS),
            start_timeout=self.gateway.start_timeout,
            endpoint=Endpoint(bind, port, f"http://{address}:{port}{_READY_PATH}"),
            stop_timeout=self.gateway.longest_drain,
            user=GATEWAY_USER,
            # Its administration pages require no key. Clients use the front, which does not pass those pages on.
            callers=(FRONT_USER, *((PROMETHEUS_USER,) if self.is_monitored else ())),
        )

    def text(
        self,
        name: str,
        layout: Layout,
        template: str,
        bind: str,
        port: str,
        config: str = CONFIG,
        cache_namespace: str = "gateway",
        longest_run: int | None = None,
        usage: str | None = None,
    ) -> str:
        """The unit file of the process.

        Args:
            layout: the layout of its generation.
            config: its configuration file there.
            cache_namespace: the gateways with the same one share what they keep in the cache.
            longest_run: seconds after which systemd stops it; none = no limit.
            usage: the file that requests are counted in; none = they are not.
        """
        command = [
            f"{layout.install(self.environment.name)}/bin/python",
            # It leaves no byte code beside our code. If it crashes, its log shows where each of its threads was.
            "-I", "-B", "-u", "-X", "faulthandler",
            f"{layout.config}/{_START}",
            layout.install(_REQUESTS),
            "--config", f"{layout.config}/{config}",
            "--host", bind,
            "--port", port,
        ]  # fmt: skip
        cache = {CACHE_NAMESPACE_VARIABLE: cache_namespace, CACHE_COOLDOWN_VARIABLE: str(CACHE_COOLDOWN)}
        return unit_file(
            template,
            layout=layout,
            unit=name,
            service=self.gateway,
            command=command,
            environment={
                **_PROCESS_ENVIRONMENT,
                MODELS_VARIABLE: f"{layout.config}/{MODELS_FILE}",
                LIMITS_VARIABLE: f"{layout.config}/{CLIENTS_FILE}",
                **({USAGE_VARIABLE: usage} if usage else {}),
                **(cache if self.has_cache else {}),
                **(_LEAN_METRICS if self.is_monitored else {}),
                **({AUTHORITIES_VARIABLE: f"{layout.config}/{AUTHORITIES_FILE}"} if self.has_authorities else {}),
            },
            usage_folder=f"ai-backend/{USAGE_FOLDER}" if usage else None,
            secrets=self.secrets,
            memory_max=self.gateway.memory_max or _MEMORY,
            user=GATEWAY_USER,
            # LiteLLM stops once the requests under way have ended, and accepts no new ones meanwhile.
            stop_seconds=self.gateway.longest_drain,
            environment_files=self.environment_files,
            longest_run=longest_run,
            loopback_only=self.asks_local_only and bind.startswith("127."),
        )


def _staging(process: _Process, gateways: Sequence[str]) -> Staging:
    """A gateway with the sandbox, the secrets and the configuration of the real one, from the new generation's own
    folder and on a loopback port."""
    start_timeout = process.gateway.start_timeout
    return Staging(
        unit=_STAGED_UNIT,
        text=process.text(
            gateways[0],
            replace(process.layout, config=STAGED_FOLDER),
            "litellm/litellm-staged.service.j2",
            "127.0.0.1",
            STAGED_PORT,
            # Cooldowns from a wrong new configuration must not affect the running gateways.
            cache_namespace="staged",
            config=STAGED_CONFIG,
            longest_run=start_timeout + _LONGEST_QUESTIONS,
        ),
        environment=VERIFIER_ENVIRONMENT,
        verifier=VERIFIER,
        ready_path=_READY_PATH,
        start_timeout=start_timeout,
        gateways=tuple(gateways),
    )
