"""The front: HAProxy in front of two instances of the gateway, so that one can be replaced while the other answers.

HAProxy, since it is well kept and in Debian; since it takes a server out of work through its runtime socket, without a
reload; since it never sends a request twice; and since it passes streams on as they come. What its configuration
depends on hardly ever changes: a change restarts it, which cuts what is under way.
"""

from __future__ import annotations

from collections.abc import Sequence

from roles.litellm.spec import LiteLLM
from roles.plan import (
    FRONT_USER,
    GATEWAY_INSTANCES,
    Drain,
    Endpoint,
    Json,
    Layout,
    ServicePlan,
    Unit,
    render,
    runtime_folder,
    unit_file,
)

FRONT_UNIT = "ai-backend-front.service"
READY_PATH = "/ai-backend-front"
"""HAProxy answers it by itself."""

_CONFIG = "front.cfg"
_SOCKET = f"{runtime_folder(FRONT_UNIT)}/runtime.sock"
_BACKEND = "gateways"
_START_SECONDS = 30
_LONGEST_SILENCE = 3600
"""Seconds. LiteLLM bounds each request by its `request_timeout`; the front only must not be the first to give up."""


def drain_of(gateway: LiteLLM, server: str) -> Drain:
    """How the instance behind that server is relieved of its work."""
    return Drain(socket=_SOCKET, backend=_BACKEND, server=server, timeout=gateway.longest_drain)


def front_plan(gateway: LiteLLM, layout: Layout, servers: Sequence[str]) -> ServicePlan:
    """HAProxy on the endpoint's address, with the instances behind it."""
    config = render(
        f"{_CONFIG}.j2",
        unit=FRONT_UNIT,
        gateway=gateway,
        servers=list(zip(servers, gateway.instance_ports, strict=True)),
        backend=_BACKEND,
        socket_name=_SOCKET.rpartition("/")[2],
        ready_path=READY_PATH,
        longest_silence=max(_LONGEST_SILENCE, 2 * gateway.request_timeout),
    )
    unit = Unit(
        name=FRONT_UNIT,
        text=unit_file(
            f"{FRONT_UNIT}.j2",
            layout=layout,
            unit=FRONT_UNIT,
            service=gateway,
            command=["/usr/sbin/haproxy", "-db", "-f", f"{layout.config}/{_CONFIG}"],
            environment={},
            loopback_only=gateway.is_local,
            user=FRONT_USER,
            runtime_folder=runtime_folder(FRONT_UNIT),
            instances=GATEWAY_INSTANCES,
        ),
        environment={},
        reads=(_CONFIG,),
        installs=(),
        start_timeout=_START_SECONDS,
        user=FRONT_USER,
        endpoint=Endpoint(gateway.bind, gateway.port, f"http://{gateway.reachable_at}:{gateway.port}{READY_PATH}"),
    )
    return ServicePlan(
        units=(unit,),
        packages=("haproxy",),
        # Debian's own, with Debian's configuration.
        keep_off=("haproxy.service",),
        files={_CONFIG: config},
    )


def front_entry(servers: Sequence[str]) -> dict[str, Json]:
    """What `providers.yaml` says of the front: how to ask it which instances get requests."""
    return {"socket": _SOCKET, "backend": _BACKEND, "servers": list(servers)}
