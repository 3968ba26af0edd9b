"""Rendering a service unit: the shared frame, and what each service adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.contract.generation import DIGEST_VARIABLE
from roles.options import Gpus, HostFile, HostFolder, ModelSource, Service
from roles.plan.layout import Layout
from roles.plan.models import shown_paths
from roles.plan.templates import render
from roles.plan.units import STOP_SECONDS, EnvValue

DIGEST_PLACEHOLDER = "@digest@"
"""Placeholder in a unit's text for its digest, which is known only once all that it covers is known."""

GATEWAY_INSTANCES = tuple(f"litellm@{letter}.service" for letter in "abcdefgh")
"""The gateway's processes behind its front: the most that there may be."""

GPU_UNIT = "ai-backend-gpu.service"
"""The unit that prepares the graphics cards before the units that use them start."""


def unit_prefix(unit: str) -> str:
    """A unit's name without its instance: systemd's name for its dynamic user, unless the unit has another."""
    return unit.rpartition(".")[0].partition("@")[0]


def unit_file(
    template: str,
    *,
    layout: Layout,
    unit: str,
    service: Service,
    command: Sequence[str],
    environment: Mapping[str, str],
    secrets: Mapping[str, EnvValue] | None = None,
    environment_files: Sequence[str] = (),
    gpus: Gpus | None = None,
    gpu_memory_share: float | None = None,
    memory_max: str | None = None,
    before_gateway: bool = False,
    stop_seconds: int = STOP_SECONDS,
    loopback_only: bool = False,
    user: str | None = None,
    models: Sequence[ModelSource] = (),
    firewall: Sequence[str] = (),
    **more: object,
) -> str:
    """The text of a unit from `templates/<template>`, which extends `_unit.j2`.

    Args:
        unit: the unit's full name.
        command: the program and its arguments, exactly as the process must get them.
        environment: variables that are not secret.
        secrets: variables that go into the unit's 0600 environment file.
        environment_files: further ones, outside of the generation: secrets that are made on the host.
        gpus: the cards that it may use and waits for at its start.
        gpu_memory_share: the share of each card's memory that it also waits for.
        memory_max: bound on the memory of all its processes: a `MemorySize`, or a share of the host's as `25%`.
        before_gateway: at boot it starts before the gateway. This is set here and not there, so that a further provider
            does not change the gateway's unit.
        stop_seconds: how long a stop may take before systemd kills it.
        loopback_only: it neither accepts connections from other hosts nor opens any to them.
        user: the system user that it runs as in system scope; none = a dynamic one, which exists only while it runs.
        models: those that it reads.
        firewall: the command that closes its port to other hosts, before it opens it; empty = there is no need.
        more: further values for the template itself.
    """
    on_host = [model.path for model in models if isinstance(model, HostFile | HostFolder)]
    if layout.models_folder and len(on_host) < len(models):
        on_host.append(layout.models_folder)
    return render(
        template,
        layout=layout,
        unit=unit,
        service=service,
        command=command,
        environment=environment,
        secrets=secrets or {},
        environment_files=environment_files,
        gpus=gpus,
        gpu_memory_share=gpu_memory_share,
        memory_max=memory_max,
        digest_variable=DIGEST_VARIABLE,
        gpu_unit=GPU_UNIT,
        stop_seconds=stop_seconds,
        loopback_only=loopback_only,
        firewall=firewall,
        user=user,
        needed_paths=on_host,
        shown_paths=shown_paths(on_host),
        dynamic_user=_dynamic_user(unit),
        # The most that there may be: then another number of instances does not change the providers' units.
        gateway_units=GATEWAY_INSTANCES if before_gateway else (),
        digest_placeholder=DIGEST_PLACEHOLDER,
        **more,
    )


def _dynamic_user(unit: str) -> str:
    """A name that no other's package or installer gives to a user of the host: systemd would run the unit as that one,
    with its groups and files."""
    prefix = unit_prefix(unit)
    return prefix if prefix.startswith("ai-backend-") else f"ai-backend-{prefix}"
