"""What a stack's Ollama means for a host."""

from __future__ import annotations

import json
from typing import Any

from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Stack, UrlFile
from roles.plan import HostPlan
from roles.rooms import plan_of
from tests.stacks import native, route, small_stack, user_scope

GGUF = UrlFile(url="https://files.example.com/own.gguf", sha256="a" * 64)


def ollama(name: str = "ollama", port: int = 11434, **options: Any) -> Ollama:
    models = [OllamaModel(name="own:latest", gguf=GGUF)]
    return Ollama(name=name, port=port, release=OllamaRelease(version="0.32.15"), models=models, **options)


def planned(*providers: Any, **options: Any) -> HostPlan:
    routes = [route(provider.name, provider.name) for provider in providers]
    stack: Stack = small_stack(providers=list(providers), routes=routes, aliases={}, **options)
    return plan_of(stack)


def test_there_is_room_for_what_the_server_makes_of_a_file_also_if_another_server_shares_it() -> None:
    for providers in ([ollama(), native(model=GGUF)], [native(model=GGUF), ollama()]):
        copies = {install.title: install.copies for install in planned(*providers).installs}
        assert copies["model own.gguf"] == 3
        assert set(copies.values()) == {0, 3}


def test_each_server_of_a_user_remembers_its_models_in_a_folder_of_its_own() -> None:
    plan = planned(ollama(), ollama("ollama-2", 11435), scope=user_scope())
    requests = [json.loads(text) for path, text in plan.files.items() if path.startswith("ollama/")]
    folders = {request["memory"] for request in requests}
    assert folders == {f"{plan.layout.state}/{name}-loader" for name in ("ollama", "ollama-2")}
    assert {request["store"] for request in requests} == {
        f"{plan.layout.state}/{name}/models" for name in ("ollama", "ollama-2")
    }


def test_the_verifier_is_told_the_version_and_the_queue() -> None:
    text = planned(ollama(max_queue=2)).files["providers.yaml"]
    assert "version: 0.32.15" in text
    assert "queue: 2" in text
    assert "version_path: /api/version" in text
