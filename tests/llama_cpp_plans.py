"""What a host plan says of one llama.cpp server, for tests without a host."""

from __future__ import annotations

import re
from typing import Any, cast

from roles import rooms
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, PythonServerModel
from roles.options import Deployment, Provider, Route, UrlFile
from roles.plan import Generation, HostPlan, Install, PlatformKey, Unit, resolve
from tests.stacks import BUILD, MODEL, PLATFORM, small_stack

CARD = "GPU-0a1b2c3d-0000"
PYTHON_FILE = "llama-cpp-python/python.json"
"""Where the Python server of several models reads them."""


def other_model(name: str) -> UrlFile:
    return UrlFile(url=f"http://198.18.0.1:8900/{name}", sha256="d" * 64)


TWO_MODELS = [
    PythonServerModel(model=MODEL, served_name="first"),
    PythonServerModel(
        model=other_model("second.gguf"),
        served_name="second",
        context_size=512,
        flash_attention=True,
        cache_type_k="q8_0",
        cache_type_v="q4_0",
        chat_format="chatml",
        embedding=True,
    ),
]


def build_for(backend: Any, **options: Any) -> LlamaCppBuild:
    return LlamaCppBuild(name=f"llama-cpp-{backend}", source=BUILD.source, backend=backend, **options)


def several(**options: Any) -> LlamaCppPython:
    defaults = {"name": "python", "port": 8000, "build": BUILD, "models": TWO_MODELS}
    return LlamaCppPython(**{**defaults, **options})


def plan_of(provider: Provider) -> HostPlan:
    stack = small_stack(
        providers=[provider],
        routes=[
            Route(name=model, deployments=[Deployment(provider=provider.name, model=model)])
            for model in provider.served()
        ],
        aliases={},
    )
    return rooms.plan_of(stack)


def unit_of(provider: Provider) -> Unit:
    """The provider's unit."""
    (unit,) = [unit for unit in plan_of(provider).units if unit.name.startswith("llama")]
    return unit


def command_of(provider: Provider) -> str:
    """The unit's command on one line."""
    match = re.search(r"^ExecStart=((?:.*\\\n)*.*)", unit_of(provider).text, re.MULTILINE)
    assert match
    return re.sub(r" \\\n *", " ", match[1])


def install_of(provider: Provider, kind: str) -> Install:
    (install,) = [install for install in plan_of(provider).installs if install.kind == kind and "llama" in install.name]
    return install


def generation_of(provider: Provider, **platform: str) -> Generation:
    facts: dict[PlatformKey, str] = {**PLATFORM, **cast("dict[PlatformKey, str]", platform)}
    return resolve(plan_of(provider), facts, lambda secret: "sk-secret")
