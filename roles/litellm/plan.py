"""The gateway's part of a host plan."""

from __future__ import annotations

from roles.litellm.config import (
    CACHE_PASSWORD_VARIABLE,
    MASTER_KEY_VARIABLE,
    litellm_config,
    mappings_file,
    providers_file,
)
from roles.litellm.spec import LiteLLM
from roles.plan import (
    GATEWAY_UNIT,
    MEGABYTE,
    VERIFIER_COMMAND,
    Context,
    Endpoint,
    EnvValue,
    GeneratedVariable,
    ServicePlan,
    Unit,
    python_env,
    read_lock,
    render,
    unit_file,
    verifier_command,
    verifier_install,
)
from roles.spec import GeneratedSecret

VERSION = "1.106.2"
"""Newest release whose whole dependency set resolved when it was pinned. Never below 1.84.0 (CVE-2026-42271,
CVE-2026-47101, CVE-2026-49468), never 1.82.7 or 1.82.8 (compromised on the package index)."""

CONFIG = "litellm-unified.yaml"

_PROCESS_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # No `.env` from the working folder, no list of prices from the network: nothing but what the generation holds.
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # No connection to a backend is used twice: llama.cpp closes each after 100 requests or 5 idle seconds, the Python
    # servers after the latter, and a request that LiteLLM sends at that moment is lost ("Server disconnected", "Cannot
    # write to closing transport") and counts as a failure of the backend. Under load that made healthy backends rest.
    "AIOHTTP_KEEPALIVE_TIMEOUT": "0",
    # These pages ask for no key.
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
}


def plan_gateway(gateway: LiteLLM, context: Context) -> ServicePlan:
    """`litellm.service` and the three files that say who answers what."""
    layout = context.layout
    environment = python_env(
        "litellm",
        "litellm",
        VERSION,
        requirements=read_lock("litellm", f"litellm-{VERSION}"),
        disk=720 * MEGABYTE,
        work_disk=600 * MEGABYTE,
    )
    generated: tuple[GeneratedVariable, ...] = ()
    secrets: dict[str, EnvValue] = {}
    key_file = f"{layout.config}/env/{GATEWAY_UNIT}.env"
    if isinstance(gateway.master_key, GeneratedSecret):
        key_file = f"{layout.secrets}/master-key.env"
        # LiteLLM takes only keys that begin with "sk-".
        generated = (GeneratedVariable(path=key_file, variable=MASTER_KEY_VARIABLE, prefix="sk-"),)
    else:
        secrets = {MASTER_KEY_VARIABLE: gateway.master_key}
    secrets |= {backend.key_variable: backend.api_key for backend in context.backends if backend.api_key}
    if context.cache and context.cache[0].password:
        secrets[CACHE_PASSWORD_VARIABLE] = context.cache[0].password
    command = [
        f"{layout.install(environment.name)}/bin/litellm",
        "--config", f"{layout.config}/{CONFIG}",
        "--host", gateway.bind,
        "--port", str(gateway.port),
    ]  # fmt: skip
    unit = Unit(
        name=GATEWAY_UNIT,
        text=unit_file(
            "litellm.service.j2",
            layout=layout,
            unit=GATEWAY_UNIT,
            service=gateway,
            command=command,
            environment=_PROCESS_ENVIRONMENT,
            secrets=secrets,
            memory_max=gateway.memory_max,
            environment_files=[variable.path for variable in generated],
        ),
        environment=secrets,
        reads=(CONFIG,),
        installs=(environment.name,),
        start_timeout=gateway.start_timeout,
        endpoint=Endpoint(
            gateway.bind, gateway.port, f"http://{gateway.reachable_at}:{gateway.port}/health/liveliness"
        ),
    )
    return ServicePlan(
        units=(unit,),
        installs=(environment, verifier_install()),
        packages=("python3-venv",),
        files={
            CONFIG: render(f"{CONFIG}.j2", config=litellm_config(gateway, context)),
            "providers.yaml": render(
                "providers.yaml.j2",
                providers=providers_file(gateway, unit, context, key_file),
            ),
            # The verifier runs with the gateway's packages: it needs an HTTP client and YAML, as the gateway does.
            VERIFIER_COMMAND: verifier_command(layout, environment.name),
            "model-mappings.yaml": render("model-mappings.yaml.j2", mappings=mappings_file(context.routes)),
        },
        generated_secrets=generated,
    )
