"""The stack of `test_routes.py`: small llama.cpp servers, and routes of every kind over them."""

from __future__ import annotations

import os
from typing import Any

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppRelease, LlamaServer
from roles.options import Deployment, EnvSecret, Probe, Route, Stack, UrlFile, Verification
from roles.redis import Redis
from tests.lab.llama_cpp_stack import ARCHIVE, Served

PASSWORD = '"it\'s a pass word" #1 \\ of $HOME'
"""With all that a shell, systemd, YAML or Redis could take for something of its own."""
PASSWORD_VARIABLE = "LAB_REDIS_PASSWORD"
SENTENCES = {name: f"This was said by number {name}" for name in ("one", "two", "three", "wide")}
PORTS = {"one": 8081, "two": 8082, "three": 8083, "wide": 8084, "ranker": 8085}
NARROW, WIDE = 256, 2048
"""Tokens of context for one request."""
PARALLEL = 4
START = 20
"""Seconds that a server may take to its first answer: as long the verifier waits for one that does not give any."""
TIMEOUT = 4
"""Seconds that the routes which a fault may befall wait for `one`. Those of 5 or more end up to a second later:
LiteLLM's HTTP client, aiohttp, has them end on a whole second of its clock."""
STREAM_TIMEOUT = 3
PATIENCE = 25
"""The same seconds where no fault is to befall them: a gateway on busy processors may need some."""
COOLDOWN = 5
WEIGHT = 3
RPM = 12


WEBHOOK_VARIABLE = "LAB_WEBHOOK"


def routes_stack(served: Served, *, hasty: bool = False, limits: bool = True, **gateway: Any) -> Stack:
    """All servers and routes. Where the environment names a webhook, that is told of changes.

    Args:
        hasty: the routes which a fault may befall wait no longer than `TIMEOUT` for `one`, and `STREAM_TIMEOUT`.
        limits: one route has a limit of requests a minute; verifications use it up, too.
        gateway: further options of the gateway.
    """
    verification = Verification(webhook=EnvSecret(WEBHOOK_VARIABLE) if WEBHOOK_VARIABLE in os.environ else None)
    url, sha256 = served[ARCHIVE]
    build = LlamaCppRelease(name="llama-cpp-b1", url=url, sha256=sha256)

    def server(name: str, **options: Any) -> LlamaServer:
        url, sha256 = served[f"{name}.gguf"]
        return LlamaServer(
            name=name,
            port=PORTS[name],
            build=build,
            model=UrlFile(url=url, sha256=sha256),
            served_name=name,
            **{
                # Two would wait for each other by spinning, on processors that other hosts need.
                "threads": 1,
                "context_size": PARALLEL * WIDE,
                "parallel": PARALLEL,
                "metrics": True,
                "start_timeout": START,
                **options,
            },
        )

    frail = Deployment(provider="one", timeout=TIMEOUT if hasty else PATIENCE)
    stream_timeout = STREAM_TIMEOUT if hasty else PATIENCE
    return Stack(
        providers=[
            server("one", context_size=PARALLEL * NARROW),
            server("two"),
            server("three"),
            server("wide"),
            server("ranker", reranking=True),
        ],
        routes=[
            _chat("one", [frail], fallbacks=["three", "wide"], context_window_fallbacks=["wide"], context_size=NARROW),
            _chat("three", [Deployment(provider="three")]),
            _chat("wide", [Deployment(provider="wide")], context_size=WIDE, structured_outputs=True, vision=False),
            _chat("pair", [frail.model_copy(update={"weight": WEIGHT}), Deployment(provider="two")]),
            _chat("weighted", [Deployment(provider="one", weight=WEIGHT), Deployment(provider="two")]),
            _chat("ordered", [frail, Deployment(provider="two", order=2)]),
            _chat("hasty", [frail.model_copy(update={"stream_timeout": stream_timeout})], fallbacks=["three"]),
            *([_chat("limited", [Deployment(provider="three", rpm=RPM)])] if limits else []),
            _chat(
                "tagged",
                [Deployment(provider="one", tags=["fast"]), Deployment(provider="two", tags=["slow", "default"])],
            ),
            Route(
                name="plain",
                deployments=[Deployment(provider="three")],
                mode="completion",
                probe=Probe(expects="This was said by"),
            ),
            Route(
                name="ranker",
                deployments=[Deployment(provider="ranker")],
                mode="rerank",
                probe=Probe(
                    prompt="What is the capital of France?",
                    documents=["Bread is made of flour.", "The sea is blue.", "The capital of France is Paris!"],
                    expects="Paris",
                ),
            ),
        ],
        aliases={"gpt-4o": "one"},
        cache=Redis(password=EnvSecret(PASSWORD_VARIABLE)),
        verification=verification,
        gateway=LiteLLM(**{"bind": "0.0.0.0", "request_timeout": 30, "cooldown": COOLDOWN, "instances": 1, **gateway}),
    )


def _chat(name: str, deployments: list[Deployment], **options: Any) -> Route:
    return Route(name=name, deployments=deployments, probe=Probe(expects="This was said by"), **options)
