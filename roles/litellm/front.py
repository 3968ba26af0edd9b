"""The front: HAProxy in front of the gateway's instances. It admits clients that have the key, to the paths that they
need, within limits. One instance can be replaced while the other answers.

Why HAProxy: it is well maintained and in Debian. Its runtime socket takes a server out of use without a reload. It
never sends a request twice. It passes streams on as they arrive. What its configuration depends on hardly ever changes,
as a change restarts it, which cuts the requests under way. So the clients' key and the number of instances are not part
of it: they are set through the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import resources

from roles.contract.holders import CLIENTS_VARIABLE, digest_variable
from roles.contract.manifest import Front
from roles.contract.modes import MODES
from roles.litellm.config import MASTER_KEY_VARIABLE
from roles.litellm.options import LiteLLM
from roles.litellm.requests.names import CLIENT_HEADER, INSTANCE_KEY_VARIABLE
from roles.litellm.tls import JOIN, PACKAGES, join_command, join_program, joined_file, renewal_units
from roles.options import GivenSecret, Monitor
from roles.plan import (
    FRONT_UNIT,
    FRONT_USER,
    GATEWAY_INSTANCES,
    ClientPlan,
    DigestOf,
    Drain,
    Endpoint,
    EnvValue,
    Layout,
    Live,
    MetricsPage,
    ServerUnit,
    ServicePlan,
    Spare,
    render,
    runtime_folder,
    unit_file,
)

READY_PATH = "/ai-backend-front"
"""HAProxy answers it by itself."""
SERVERS = {name.removeprefix("litellm@").removesuffix(".service"): name for name in GATEWAY_INSTANCES}
"""HAProxy's name of each instance → its unit: the most that there may be."""

_HERE = resources.files("roles") / "litellm"
_CONFIG = "front.cfg"
_START = "bin/start-front"
_WATCH = "bin/watch-instances"
_HOLDERS = "bin/front-keys"
_FOLDER = runtime_folder(FRONT_UNIT)
_SOCKET = f"{_FOLDER}/runtime.sock"
_KEYS = f"{_FOLDER}/keys"
_INSTANCES_VARIABLE = "INSTANCES"
_BACKEND = "gateways"
_START_SECONDS = 30
_LONGEST_SILENCE = 3600
"""Seconds. LiteLLM limits each request by its `request_timeout`; the front only must not time out first."""
_MEMORY = "10%"
"""Of the host's memory. HAProxy takes 15 MB, and some 35 kB more for each request under way."""
_MOST_CONNECTIONS = 8192
_DAY = 86400
"""Seconds."""
_EXPOSED = (
    "x-request-id", "x-litellm-call-id", "x-litellm-model-id", "x-litellm-model-group", "x-litellm-attempted-fallbacks",
    "retry-after", "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
)  # fmt: skip
"""Headers that a web page may read from an answer, besides the few that it always may."""
_LOGGED_REFUSALS = 5
"""Logged refusals per source within a minute. Further ones in that time go to the client only."""

_SHOWN = {"no-maint": ""}
"""Of HAProxy's metrics: without those of instances that are not declared."""

_KEY_HEADERS = ("X-LiteLLM-API-Key", "API-Key", "X-API-Key", "X-Goog-API-Key", "Ocp-Apim-Subscription-Key")
"""Headers in which client software sends the key, besides `Authorization: Bearer`: all that LiteLLM 1.106.2 reads."""
_MODEL = "[A-Za-z0-9]([A-Za-z0-9._:@+-]|%3A|%40|%2B)*"
"""One part of a model's name, as it may appear in a path: nothing in it can mean another path."""
_API = (
    *(mode.path for mode in MODES.values()),
    "/responses",
    "/responses/compact",
    "/responses/input_tokens",
)
_ASKED = (
    *(path for each in _API for path in (each, f"/v1{each}")),
    "/v2/rerank",
    "/v1/messages",
    "/v1/messages/count_tokens",
)
"""The paths for the routes' modes."""


def drain_of(gateway: LiteLLM, server: str) -> Drain:
    """How the requests of that server's instance are drained."""
    return Drain(socket=_SOCKET, backend=_BACKEND, server=server, timeout=gateway.longest_drain)


def front_plan(
    gateway: LiteLLM,
    layout: Layout,
    clients: Sequence[ClientPlan],
    instance_key_file: str,
    master_key_file: str,
    monitoring: Monitor | None,
) -> ServicePlan:
    """HAProxy on the endpoint's address, with the instances behind it.

    Args:
        instance_key_file: the environment file with the key that the instances require.
        master_key_file: the environment file with the gateway's own key if that is made on the host.
        monitoring: what collects its metrics.
    """
    tls = gateway.tls
    metrics_port = monitoring.front_port if monitoring else None
    joined = (JOIN,) if tls else ()
    reads = (_CONFIG, _START, _HOLDERS, _WATCH, *joined)
    live_environment: dict[str, EnvValue] = {
        _INSTANCES_VARIABLE: str(gateway.instances),
        CLIENTS_VARIABLE: " ".join(f"{client.name}:{_end(client.options.expires)}" for client in clients),
        **{
            digest_variable(client.name): DigestOf(client.options.key)
            for client in clients
            if isinstance(client.options.key, GivenSecret)
        },
    }
    if isinstance(gateway.master_key, GivenSecret):
        live_environment[MASTER_KEY_VARIABLE] = gateway.master_key
    unit = ServerUnit(
        name=FRONT_UNIT,
        text=unit_file(
            f"litellm/{FRONT_UNIT}.j2",
            layout=layout,
            unit=FRONT_UNIT,
            service=gateway,
            command=[
                "/bin/sh",
                *(f"{layout.config}/{path}" for path in (_START, _HOLDERS, _CONFIG, _WATCH)),
                _BACKEND,
                *(f"{server}={port}" for server, port in zip(SERVERS, gateway.all_instance_ports, strict=True)),
            ],
            environment={},
            loopback_only=gateway.is_local,
            user=FRONT_USER,
            memory_max=_MEMORY,
            runtime_folder=_FOLDER,
            instances=GATEWAY_INSTANCES,
            instance_key_file=instance_key_file,
            key_files=[master_key_file, f"{_made_digests(layout)}/*.env"],
            low_port=gateway.has_low_port,
            join=join_command(tls, layout) if tls else (),
            socket=_SOCKET,
        ),
        reads=reads,
        start_timeout=_START_SECONDS,
        user=FRONT_USER,
        endpoint=Endpoint(
            gateway.bind, gateway.port, f"{gateway.local_url}{READY_PATH}", gateway.local_port, metrics_port
        ),
        live_environment=live_environment,
    )
    made = tuple(
        made_digest_file(layout, client) for client in clients if not isinstance(client.options.key, GivenSecret)
    )
    key_files = (master_key_file, *made, f"{layout.config}/{unit.environment_file}")
    return ServicePlan(
        units=(
            _with_live(unit, gateway, key_files, _made_digests(layout)),
            *(renewal_units(tls, layout, _SOCKET) if tls else ()),
        ),
        packages=("haproxy", *(PACKAGES if tls else ())),
        # Debian's own, with Debian's configuration.
        keep_off=("haproxy.service",),
        files={
            _CONFIG: _config(gateway, layout, metrics_port),
            _START: (_HERE / "start-front.sh").read_text(),
            _HOLDERS: (resources.files("roles") / "contract" / "holders.py").read_text(),
            _WATCH: (_HERE / "watch_instances.py").read_text(),
            **({JOIN: join_program()} if tls else {}),
        },
        host_files=(tls.certificate, tls.key) if tls else (),
        pages=(MetricsPage("haproxy", "front", f"127.0.0.1:{metrics_port}", parameters=_SHOWN),)
        if metrics_port
        else (),
    )


def _made_digests(layout: Layout) -> str:
    return f"{layout.secrets}/clients"


def made_digest_file(layout: Layout, client: ClientPlan) -> str:
    """The environment file with the digest of a client's key that is made on the host."""
    return f"{_made_digests(layout)}/{client.name}.env"


def _end(last_day: date | None) -> int:
    """The Unix time from which a key is refused; 0 = never."""
    if last_day is None:
        return 0
    return int(datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC).timestamp()) + _DAY


def _config(gateway: LiteLLM, layout: Layout, metrics_port: int | None) -> str:
    return render(
        f"litellm/{_CONFIG}.j2",
        unit=FRONT_UNIT,
        gateway=gateway,
        servers=list(zip(SERVERS, gateway.all_instance_ports, strict=True)),
        instances_variable=_INSTANCES_VARIABLE,
        backend=_BACKEND,
        socket_name=_SOCKET.rpartition("/")[2],
        keys_name=_KEYS.rpartition("/")[2],
        instance_key_variable=INSTANCE_KEY_VARIABLE,
        client_header=CLIENT_HEADER,
        ready_path=READY_PATH,
        longest_silence=max(_LONGEST_SILENCE, 2 * gateway.request_timeout),
        most_connections=_MOST_CONNECTIONS,
        most_bytes=int(gateway.max_body[:-1]) << 10 * (1 + "KMGT".index(gateway.max_body[-1])),
        # The host's own requests to the endpoint come from the endpoint's address.
        trusted=list(dict.fromkeys(["127.0.0.0/8", gateway.reachable_at, *gateway.trusted_networks])),
        logged_refusals=min(_LOGGED_REFUSALS, gateway.refusals_per_source),
        key_fetches=["http_auth_bearer", *(f"req.fhdr({header})" for header in _KEY_HEADERS)],
        # LiteLLM checks the last one for pages that the front does not pass on.
        key_headers=[*_KEY_HEADERS, "litellm_user_api_key"],
        model_pattern=f"({_MODEL})",
        asked_paths=_ASKED,
        joined_certificate=joined_file(layout),
        exposed_headers=_EXPOSED,
        metrics_port=metrics_port,
    )


def _with_live(unit: ServerUnit, gateway: LiteLLM, key_files: tuple[str, ...], made_digests: str) -> ServerUnit:
    servers = tuple(
        Spare(server=server, unit=name, used=number < gateway.instances)
        for number, (server, name) in enumerate(SERVERS.items())
    )
    live = Live(
        socket=_SOCKET,
        keys=_KEYS,
        key_files=key_files,
        key_variable=MASTER_KEY_VARIABLE,
        backend=_BACKEND,
        servers=servers,
        drain_timeout=gateway.longest_drain,
        made_digests=made_digests,
    )
    return replace(unit, live=live)


def front_of(gateway: LiteLLM, endpoint: ServerUnit) -> Front:
    """How to ask the front which instances get requests, and which keys it knows."""
    assert endpoint.live, "the front gets the keys while it runs"
    *made, _ = endpoint.live.key_files
    return Front(
        socket=_SOCKET,
        backend=_BACKEND,
        servers=tuple(SERVERS)[: gateway.instances],
        keys=_KEYS,
        key_files=(*made, endpoint.environment_file),
    )
