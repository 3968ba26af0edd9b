"""A LoRA adapter in real vLLM: fetched as a model, asked by its name, and kept apart from the model that it changes."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, failures, verdict
from tests.lab.lora_stack import SAY
from tests.lab.traffic import Answer, Gateway, send
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

pytestmark = pytest.mark.soak_only


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    host = new_module_host("lora", prepared=True)
    deploy(host, inventory=REPOSITORY / "tests/lab/lora_stack.py").must_pass()
    return host


def test_each_name_is_answered_by_its_own_words(host: LabHost) -> None:
    found = verdict(host)
    assert failures(found) == []
    assert {f"route/{name}/chat" for name in SAY} <= {check["id"] for check in found["checks"]}
    for name, says in SAY.items():
        (answer,) = send(host, name)
        assert (answer.words, answer.origin) == (says, f"{name}@tiny")


def test_the_server_lists_both(host: LabHost) -> None:
    key = "$(grep ^VLLM_API_KEY= /var/lib/ai-backend/secrets/vllm@tiny.env | cut -d'\"' -f2)"
    listed = host.run(f'curl -sS --fail -H "Authorization: Bearer {key}" http://127.0.0.1:8001/v1/models').stdout
    assert [model["id"] for model in json.loads(listed)["data"]] == [*SAY]


def test_asked_together_each_still_says_its_own(host: LabHost) -> None:
    """vLLM's operations for processors apply what is in the last place to requests without an adapter in such a batch,
    unless that place is empty."""
    gateway = Gateway(host)

    async def together(count: int) -> list[tuple[str, Answer]]:
        names = [name for _ in range(count) for name in SAY]
        async with gateway.client() as client:
            return list(zip(names, await asyncio.gather(*(gateway.ask(client, name) for name in names)), strict=True))

    answers = asyncio.run(together(12))
    assert {(name, answer.words) for name, answer in answers} == set(SAY.items())
