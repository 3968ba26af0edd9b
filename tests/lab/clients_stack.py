"""The whole stack, and two models for client programs: one with room for their prompts, and one that calls tools."""

from __future__ import annotations

from inventory.lab import stack as whole
from roles.llama_cpp import LlamaServer
from roles.options import Client, Deployment, EnvSecret, Probe, Route
from tests.lab.inventory import LLAMA_CPP, lab_host, lab_model, says


def _server(name: str, port: int, context_size: int) -> LlamaServer:
    return LlamaServer(
        name=name,
        port=port,
        build=LLAMA_CPP,
        model=lab_model(f"{name}.gguf"),
        served_name=f"tiny-{name}",
        threads=1,
        context_size=context_size,
        parallel=1,
    )


stack = whole.model_copy(
    update={
        "providers": (*whole.providers, _server("agents", 8081, 65536), _server("tools", 8082, 2048)),
        "routes": (
            *whole.routes,
            Route(
                name="tiny-agents",
                deployments=[Deployment(provider="agents")],
                probe=Probe(expects=says("agents.gguf")),
            ),
            Route(
                name="tiny-tools",
                deployments=[Deployment(provider="tools")],
                tools=True,
                probe=Probe(expects="report_weather"),
            ),
        ),
        "clients": (Client(name="programs", key=EnvSecret("LAB_PROGRAMS_KEY")),),
        # What LlamaIndex' class `OpenAI`, and Claude Code ask for.
        "aliases": {**whole.aliases, "claude-opus-4-8": "tiny-agents"},
    }
)
hosts = [lab_host(stack)]
