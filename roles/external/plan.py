"""The part of a host plan of a server that others run: how the gateway reaches it, and nothing else."""

from __future__ import annotations

from roles.external.options import External
from roles.plan import Backend, HostContext, Login, ServicePlan, openai_prefixes


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
            login=_login(external),
            metered=external.metered,
        ),
    )


def _login(external: External) -> Login | None:
    if external.api_key is None:
        return None
    # Not `OPENAI_API_KEY` and the like, which LiteLLM would also send to whom no key is declared for.
    variable = f"AI_BACKEND_KEY_{external.name.upper().replace('-', '_')}"
    return Login(external.api_key, file="", server_variable=variable, client_variable=variable)
