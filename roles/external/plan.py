"""The part of a host plan of a server that others run: how the gateway reaches it, and nothing else."""

from __future__ import annotations

from roles.external.cloud import Cloud
from roles.external.options import External
from roles.options import GivenSecret, authorities_in
from roles.plan import Backend, CloudTraits, HostContext, Login, ServicePlan, openai_prefixes


def plan_external(external: External, context: HostContext) -> ServicePlan:
    """No unit, and no install."""
    return ServicePlan(
        units=(),
        backend=Backend(
            provider=external.name,
            kind=type(external).__name__.lower(),
            prefixes=openai_prefixes(*external.modes),
            api_base=external.url,
            models=external.served(),
            login=_login(external.name, external.api_key) if external.api_key else None,
            metered=external.is_metered,
            authorities=authorities_in(external.ca) if external.ca else None,
        ),
    )


def plan_cloud(cloud: Cloud, context: HostContext) -> ServicePlan:
    """Likewise, in the vendor's own API."""
    parameters = {
        # Ollama's is no provider of LiteLLM: its address says that it is meant.
        "api_base": cloud.address if cloud.api_base or cloud.known.prefix != cloud.vendor else None,
        "api_version": cloud.api_version,
        "aws_region_name": cloud.region,
    }
    modes = {model: cloud.modes_of(model) for model in cloud.served()}
    return ServicePlan(
        units=(),
        backend=Backend(
            provider=cloud.name,
            kind=cloud.vendor,
            prefixes=dict.fromkeys((mode for each in modes.values() for mode in each), cloud.known.prefix),
            api_base=cloud.address,
            models=cloud.served(),
            login=_login(cloud.name, cloud.api_key),
            metered=cloud.is_metered,
            authorities=authorities_in(cloud.ca) if cloud.ca else None,
            cloud=CloudTraits(
                parameters={name: value for name, value in parameters.items() if value is not None},
                modes=modes,
                prices=cloud.prices,
                listing=cloud.known.listing,
                api_version=cloud.api_version or "",
                fields=cloud.known.keeps_nothing if cloud.retention else {},
            ),
        ),
    )


def _login(name: str, key: GivenSecret) -> Login:
    # Not `OPENAI_API_KEY` and the like, which LiteLLM would also send to whom no key is declared for.
    variable = f"AI_BACKEND_KEY_{name.upper().replace('-', '_')}"
    return Login(key, file="", server_variable=variable, client_variable=variable)
