"""What a verdict says of the deployment: read from the generation and the host's history, and nothing secret."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from roles.contract.deployed import DeployedProvider
from roles.contract.requests import Outcome
from roles.contract.verdict import SHOWN_EVENTS
from roles.host.programs.generations import record
from roles.verify import describe as module
from roles.verify import load_generation
from roles.verify.describe import describe
from roles.verify.generation import Tls
from roles.verify.probe.examples import example_request
from roles.verify.verdict.events import read_events
from tests.inventories import INVENTORY

_GPU_BOX = INVENTORY.parent / "tests/golden/gpu-box"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The reference stack's generation, as it lies on a host, with one of its installs."""
    folder = tmp_path / "ai-backend-generations/1f0c"
    folder.mkdir(parents=True)
    for name in ("providers.yaml", "model-mappings.yaml"):
        (folder / name).write_text((_GPU_BOX / name).read_text())
    install = folder / "install/litellm"
    install.mkdir(parents=True)
    (install / ".install.json").write_text(json.dumps({"title": "litellm 1.106.2", "made": "2026-11-24T05:00:00Z"}))
    (folder / "install/half").mkdir()
    link = tmp_path / "ai-backend"
    link.symlink_to(folder)
    return link


def test_the_reference_stack_is_described_as_it_is_declared(config: Path) -> None:
    deployed = describe(load_generation(config))
    assert (deployed.scope, deployed.config, deployed.cache) == ("system", str(config), None)
    assert deployed.installs == {"litellm": "litellm 1.106.2"}
    assert deployed.endpoint is not None
    assert deployed.endpoint.url == "http://127.0.0.1:4000/v1"
    assert deployed.endpoint.urls == ()
    assert deployed.endpoint.instances == ("litellm@a.service", "litellm@b.service")
    assert deployed.endpoint.key_variable == "LITELLM_MASTER_KEY"
    assert deployed.endpoint.key_file == f"{config}/env/ai-backend-front.service.env"
    assert deployed.providers[0] == DeployedProvider(
        "ollama", "ollama", "ollama.service", "http://127.0.0.1:11434", ("llama3.1:latest", "qwen2.5-coder:7b")
    )
    (vllm,) = [route for route in deployed.routes if route.name == "qwen-coder-vllm"]
    assert (vllm.aliases, vllm.fallbacks) == (("gpt-4o",), ("qwen2.5-coder:7b",))
    assert vllm.deployments == ("qwen-coder-vllm@qwen-coder",)
    assert (vllm.path, vllm.body["model"]) == ("/chat/completions", "qwen-coder-vllm")


_ROUTES = """Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/30 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 198.18.0.1
        /32 host LOCAL
Local:
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 169.254.0.9
        /32 host LOCAL
"""
"""`/proc/net/fib_trie`, cut short."""


REACHED: dict[str, tuple[str, ...]] = {
    "127.0.0.1": (),
    "::1": (),
    "localhost": (),
    "198.18.0.7": ("http://198.18.0.7:4000/v1",),
    "gpu-box.lan": ("http://gpu-box.lan:4000/v1",),
    "0.0.0.0": ("http://198.18.0.7:4000/v1",),
    "::": ("http://198.18.0.7:4000/v1", "http://[2001:db8::7]:4000/v1"),
}
"""Where the endpoint is bound → how others reach it."""


@pytest.mark.parametrize("bind", REACHED)
def test_others_reach_the_endpoint_where_it_is_bound(config: Path, monkeypatch: pytest.MonkeyPatch, bind: str) -> None:
    monkeypatch.setattr(module, "_addresses", lambda: ["198.18.0.7", "2001:db8::7"])
    generation = load_generation(config)
    assert generation.gateway is not None
    bound = replace(generation.gateway, service=replace(generation.gateway.service, bind=bind))
    endpoint = describe(replace(generation, gateway=bound)).endpoint
    assert endpoint is not None
    assert endpoint.urls == REACHED[bind]


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0"])
def test_with_tls_others_reach_it_by_its_name(config: Path, monkeypatch: pytest.MonkeyPatch, bind: str) -> None:
    monkeypatch.setattr(module, "_addresses", lambda: ["198.18.0.7"])
    generation = load_generation(config)
    assert generation.gateway is not None
    tls = Tls("/etc/a.pem", "ai.example.com", 14, 4009, "renewal.service", "renewal.path")
    bound = replace(generation.gateway, service=replace(generation.gateway.service, bind=bind), tls=tls)
    endpoint = describe(replace(generation, gateway=bound)).endpoint
    assert endpoint is not None
    assert endpoint.urls == (("https://ai.example.com:4000/v1",) if bind == "0.0.0.0" else ())


def test_the_addresses_of_a_host_are_read_from_the_kernels_tables(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    assert module._addresses(tmp_path) == []
    (tmp_path / "net/fib_trie").write_text(_ROUTES)
    assert module._addresses(tmp_path) == ["192.0.2.2", "198.18.0.1"]
    addresses = {"fd00::2": "00", "fe80::1": "20", "::1": "10"}
    lines = [f"{int(ip_address(each)):032x} 02 40 {scope} 80     eth0\n" for each, scope in addresses.items()]
    (tmp_path / "net/if_inet6").write_text("".join(lines))
    assert module._addresses(tmp_path) == ["192.0.2.2", "198.18.0.1", "fd00::2"]


def test_on_this_machine_they_are_those_that_hostname_tells() -> None:
    told = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout
    assert sorted(module._addresses()) == sorted(told.split())


def test_every_mode_has_a_request_to_copy(config: Path) -> None:
    (route, *_) = load_generation(config).routes
    paths = {mode: example_request(replace(route, mode=mode)) for mode in ("chat", "completion", "embedding", "rerank")}
    assert {mode: path for mode, (path, _) in paths.items()} == {
        "chat": "/chat/completions",
        "completion": "/completions",
        "embedding": "/embeddings",
        "rerank": "/rerank",
    }
    assert all(body["model"] == route.name for _, body in paths.values())


def test_the_history_that_deploys_write_is_read_back(tmp_path: Path) -> None:
    verdict = Outcome(status="pass", summary="49 of 49 checks pass", seconds=17.9)
    record.note(str(tmp_path), "activated", "1f0c", "ada@desk", seconds=48.2)
    record.note_verdict(str(tmp_path), "ada@desk", "1f0c", verdict)
    record.note(str(tmp_path), "rolled back", "0ld", "ada@desk", **{"from": "1f0c"}, reason="by hand", seconds=3.0)
    events = read_events(tmp_path)
    assert [(event.event, event.generation, event.who, event.detail) for event in events] == [
        ("activated", "1f0c", "ada@desk", "in 48.2 s"),
        ("verified", "1f0c", "ada@desk", "pass: 49 of 49 checks pass; in 17.9 s"),
        ("rolled back", "0ld", "ada@desk", "away from 1f0c; by hand; in 3 s"),
    ]
    for _ in range(SHOWN_EVENTS):
        record.note(str(tmp_path), "refused", "n3w", "ada@desk", reason="no")
    assert {event.event for event in read_events(tmp_path)} == {"refused"}
    assert len(read_events(tmp_path)) == SHOWN_EVENTS


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="half an object"),
        pytest.param("[]\n", id="a list"),
        pytest.param('{"time": "x"}\n', id="an entry without its fields"),
        pytest.param("7\n", id="a number"),
    ],
)
def test_a_history_that_is_damaged_tells_nothing(tmp_path: Path, damage: str) -> None:
    (tmp_path / "history.jsonl").write_text(damage)
    assert read_events(tmp_path) == ()
    assert read_events(tmp_path / "nowhere") == ()
