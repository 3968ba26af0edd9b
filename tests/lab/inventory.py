"""What inventories of lab hosts are made of, and the small stack that most tests deploy: llama.cpp, twice.

Models are tiny and answer one sentence each, through real inference: who answered shows in the words.
"""

from __future__ import annotations

import os
from typing import Any

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.options import (
    AskApis,
    Deployment,
    HubFile,
    Probe,
    PythonSdist,
    Route,
    Stack,
    SystemScope,
    UrlFile,
    UserScope,
)
from tests.labhost import Lab
from tests.labhost.files import lab_models

LAB = Lab()
_MODELS = lab_models(LAB.folders)

LLAMA_CPP = LlamaCppBuild(
    source=PythonSdist(
        package="llama-cpp-python",
        version="0.3.36",
        sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
        subdirectory="vendor/llama.cpp",
    )
)


def lab_model(name: str) -> UrlFile:
    """One of the lab's GGUF models by address and digest."""
    return UrlFile(url=f"{LAB.mirror_url}/{name}", sha256=_MODELS[name].sha256)


def says(name: str) -> str:
    """The sentence that one of the lab's models answers with."""
    return _MODELS[name].says


def hub_model(name: str) -> HubFile:
    """The same from the lab's own Hub."""
    return HubFile(endpoint=LAB.mirror_url, repository=_MODELS[name].repository, revision="main", file=name)


def lab_stack(
    *,
    user: str | None = None,
    build: LlamaCppBuild = LLAMA_CPP,
    native: dict[str, Any] | None = None,
    native_says: str = says("native.gguf"),
    gateway: dict[str, Any] | None = None,
) -> Stack:
    """The small stack; tests put it under a user, or change its build, options of its native server and its words, or
    options of its gateway, which is one process here."""
    return Stack(
        scope=UserScope(user=user) if user else SystemScope(),
        providers=[
            LlamaServer(
                **{
                    "name": "native",
                    "port": 8080,
                    "build": build,
                    "model": lab_model("native.gguf"),
                    "served_name": "tiny-native",
                    "threads": 1,
                    **(native or {}),
                }
            ),
            LlamaCppPython(
                name="python", port=8000, build=build, model=hub_model("python.gguf"), served_name="tiny-python"
            ),
        ],
        routes=[
            Route(
                name="tiny-native",
                deployments=[Deployment(provider="native")],
                fallbacks=["tiny-python"],
                probe=Probe(expects=native_says),
            ),
            Route(
                name="tiny-python",
                deployments=[Deployment(provider="python")],
                fallbacks=["tiny-native"],
                probe=Probe(expects=says("python.gguf")),
            ),
        ],
        aliases={"gpt-4o": "tiny-native"},
        # Reachable from the machine that the lab runs on. The master key is made on the host.
        gateway=LiteLLM(**{"bind": "0.0.0.0", "instances": 1, **(gateway or {})}),
    )


def _unmeasured(route: Route) -> Route:
    return route if "speed" in route.model_fields_set else route.model_copy(update={"speed": "off"})


def lab_host(
    stack: Stack, name: str = os.environ.get("LAB_HOST", "demo"), *, apis: AskApis = "on-demand", **data: Any
) -> tuple[str, dict[str, Any]]:
    """An inventory entry for a lab host. The lab makes its models anew for each run: most inventories have no lock. The
    speed of a route is measured only if the stack says so, which else is the default and would make each deploy longer.

    Args:
        apis: when routes are asked as client programs ask; by each of the many deploys, it would take long.
    """
    verification = stack.verification.model_copy(update={"apis": apis})
    routes = tuple(map(_unmeasured, stack.routes))
    stack = stack.model_copy(update={"verification": verification, "routes": routes})
    return (name, {"stack": stack, "ssh_config_file": str(LAB.folders.ssh_config), "unlocked": True, **data})
