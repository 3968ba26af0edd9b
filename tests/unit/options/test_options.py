"""Bad input: one message that names what, where and how to fix it."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roles.litellm import LiteLLM
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import (
    Budget,
    Client,
    Deployment,
    EnvSecret,
    FileSecret,
    GeneratedSecret,
    Gpus,
    HubFile,
    HubModel,
    LocalFile,
    OptionsError,
    Route,
    Speed,
    UrlArchive,
    UrlFile,
    Verification,
)
from roles.redis import Redis
from tests.stacks import native, python, route, small_stack, vllm

RELEASE = OllamaRelease(version="0.32.15")

MISTAKES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "unknown option, nearest right one": (
        lambda: native(context_sise=4096),
        ['LlamaServer(name="native")', 'unknown option "context_sise"', 'did you mean "context_size"?'],
    ),
    "unknown option without a near one": (lambda: LiteLLM(**_any(colour="red")), ['LiteLLM: unknown option "colour"']),
    "wrong type": (
        lambda: native(port="8080"),
        ['option "port"', 'give a whole number, not "8080" (a text): without quotes', "; for example port=8080"],
    ),
    "out of range": (lambda: native(port=70000), ['option "port"', "at most 65535", "70000"]),
    "missing option": (
        lambda: Deployment(**_any()),
        [
            'option "provider" is missing (Name of the provider instance; `HOST/NAME` = one of another host of the '
            'inventory.); for example provider="ollama"'
        ],
    ),
    "two missing options, each with its example": (
        lambda: HubModel(**_any(revision="main", files=5)),
        ['option "repository" is missing', 'for example repository="Qwen/', 'AWQ", files=["*.safetensors", "*.json"]'],
    ),
    "something else than a group": (
        lambda: native(model=None),
        ['"model": give UrlFile(…) or HubFile(…) or LocalFile(…) or HostFile(…), not None; for example model=HubFile('],
    ),
    "a speed that is no word of ours": (
        lambda: route("a", "native", speed="slow"),
        ['Route(name="a")', 'option "speed"', '"report"', '"slow"', "; for example speed=Speed("],
    ),
    "a bound of a speed that is not measured": (
        lambda: Speed(when_slower="off", tokens_per_second=30),
        ['Speed: `when_slower="off"` measures nothing; remove the bounds, or set it to "report" or "fail"'],
    ),
    "a speed of a route that writes no text": (
        lambda: route("a", "native", mode="embedding", speed="fail"),
        ["`speed` is of routes that write text, and its mode is embedding; remove it"],
    ),
    "a time that is none": (
        lambda: Verification(speed_at="25:00"),
        ['option "speed_at"', 'time of day such as "03:00"', '"25:00"'],
    ),
    "a secret that nobody has yet": (
        lambda: Verification(**_any(webhook=GeneratedSecret())),
        ['option "webhook": give EnvSecret(…) or FileSecret(…), not GeneratedSecret()'],
    ),
    "not an address": (lambda: native(bind="localhost"), ['"localhost" is no IPv4 address', "127.0.0.1"]),
    "path that leaves the archive": (
        lambda: UrlArchive(url="http://x/y.tar.gz", sha256="a" * 64, subdirectory="../etc"),
        ['option "subdirectory"', "no relative path"],
    ),
    "two services on one port": (
        lambda: small_stack(providers=[native(), python(port=8080)]),
        ['LlamaCppPython "python"', 'LlamaServer "native"', "both listen on port 8080", "another `port`"],
    ),
    "a service on the gateway's port": (
        lambda: small_stack(providers=[native(port=4000), python()], gateway=LiteLLM(bind="0.0.0.0")),
        ["both listen on port 4000"],
    ),
    "two services of one name": (
        lambda: small_stack(providers=[native(), python(name="native")]),
        ['share the name "native"', "rename"],
    ),
    "alias cycle": (
        lambda: small_stack(aliases={"a": "b", "b": "c", "c": "a"}),
        ["alias cycle: a -> b -> c -> a", "let one of them name a route (n, p)"],
    ),
    "alias to nowhere": (lambda: small_stack(aliases={"a": "nn"}), ['alias "a" leads to "nn"', 'did you mean "n"?']),
    "alias that is a route": (lambda: small_stack(aliases={"n": "p"}), ['duplicate public name "n"']),
    "fallback to nowhere": (
        lambda: small_stack(routes=[route("tiny", "native", fallbacks=["tinny"]), route("p", "python")], aliases={}),
        ['route "tiny" falls back to "tinny"', 'did you mean "tiny"?'],
    ),
    "a client of a route that is none": (
        lambda: small_stack(clients=[Client(name="ada", routes=["gpt4o"])]),
        ['client "ada": `routes` names "gpt4o"', 'did you mean "gpt-4o"?'],
    ),
    "two clients of one name": (
        lambda: small_stack(clients=[Client(name="ada"), Client(name="ada")]),
        ['two clients are called "ada"', "rename"],
    ),
    "a budget that nothing can be spent of": (
        lambda: small_stack(clients=[Client(name="ada", routes=["n"], budget=Budget(per="day", usd=1))]),
        ['client "ada" has a `budget`', "the deployments of n a `price`", "or remove the budget"],
    ),
    "a budget of nothing": (
        lambda: Budget(per="day", usd=0),
        ["usd", "a number above 0"],
    ),
    "two clients with one key": (
        lambda: small_stack(
            clients=[Client(name="ada", key=EnvSecret("KEY")), Client(name="bob", key=EnvSecret("KEY"))]
        ),
        ['clients "ada" and "bob" have the same key, from environment variable KEY', "give each its own"],
    ),
    "a client with the name of the administration": (
        lambda: Client(name="master"),
        ['option "name": "master" is the holder of the gateway\'s own `master_key`', "take another name"],
    ),
    "a day as a text": (
        lambda: Client(**_any(name="ada", expires="2027-06-30")),
        ["valid date", "for example expires=date(2027, 6, 30)"],
    ),
    "fallback to itself, by an alias": (
        lambda: small_stack(routes=[route("n", "native", fallbacks=["gpt-4o"]), route("p", "python")]),
        ['route "n" falls back to itself'],
    ),
    "duplicate public name": (
        lambda: small_stack(routes=[route("n", "native"), route("n", "python")]),
        ['duplicate public name "n"', "one route with two deployments"],
    ),
    "route to no provider": (
        lambda: small_stack(routes=[route("n", "natve")]),
        ['the provider "natve"', 'did you mean "native"?'],
    ),
    "a GPU's memory promised twice": (
        lambda: small_stack(
            providers=[vllm(gpu_memory_utilization=0.9), vllm(name="second", port=8002, gpu_memory_utilization=0.5)],
            routes=[route("v", "vllm")],
            aliases={},
        ),
        ["more than all memory of the GPU is promised", 'Vllm "vllm" 0.9, Vllm "second" 0.5', "lower"],
    ),
    "a GPU's memory promised twice, by its UUID": (
        lambda: small_stack(
            providers=[
                vllm(gpu_memory_utilization=0.9),
                vllm(name="second", port=8002, gpus=Gpus(uuids=["GPU-0a1b2c3d-0000"]), gpu_memory_utilization=0.5),
            ],
            routes=[route("v", "vllm")],
            aliases={},
        ),
        ["more than all memory of GPU-0a1b2c3d-0000 is promised"],
    ),
    "vLLM on a processor without a bound": (lambda: vllm(gpus=None), ["give `kv_cache_memory_bytes`"]),
    "a template for a model that is pulled": (
        lambda: OllamaModel(name="llama3.1", system="Be brief."),
        ["`system` is for a model that is made from a file", "give `gguf` too"],
    ),
    "a file whose address names none": (
        lambda: UrlFile(url="https://example.com/models/", sha256="0" * 64),
        ["'https://example.com/models/' does not end in the name of a file"],
    ),
    "a file whose address leads up": (
        lambda: UrlFile(url="https://example.com/models/..?download=true", sha256="0" * 64),
        ["does not end in the name of a file"],
    ),
    "a file whose name is too long": (
        lambda: UrlFile(url=f"https://example.com/{'m' * 250}.gguf", sha256="0" * 64),
        ["does not end in the name of a file"],
    ),
    "a file of this machine with a control character": (
        lambda: LocalFile(path="/models/\x1b[2J.gguf", sha256="0" * 64),
        ["/models/\\x1b[2J.gguf' is no path of a file"],
    ),
    "a folder of a repository": (
        lambda: HubFile(repository="org/model", revision="main", file="models/"),
        ["'models/' does not end in the name of a file"],
    ),
    "one model twice": (
        lambda: Ollama(release=RELEASE, models=["a:latest", OllamaModel(name="a:latest")]),
        ['model "a:latest" is there twice'],
    ),
    "a number of the wrong sign": (lambda: Ollama(release=RELEASE, models=["a"], num_parallel=0), ["num_parallel"]),
    "an add-on that is not there": (
        lambda: OllamaRelease(version="0.32.15", machine="aarch64", rocm=True),
        ["`rocm` is there for x86_64 only"],
    ),
    "a fallback of another mode": (
        lambda: small_stack(
            routes=[route("n", "native", fallbacks=["p"]), route("p", "python", mode="embedding")], aliases={}
        ),
        ['route "n" falls back to "p"', "whose mode is embedding and not chat"],
    ),
    "a default fallback to nowhere": (
        lambda: small_stack(gateway=LiteLLM(default_fallbacks=["pp"])),
        ['LiteLLM "gateway": `default_fallbacks` names "pp"', 'did you mean "p"?'],
    ),
    "a context-window fallback that is no larger": (
        lambda: small_stack(
            routes=[
                route("n", "native", context_window_fallbacks=["p"], context_size=8192),
                route("p", "python", context_size=4096),
            ]
        ),
        ['route "n" falls back to "p"', "`context_size` of 4096 is no larger than 8192", "name one with a larger"],
    ),
    "context-window fallbacks in a circle": (
        lambda: small_stack(
            routes=[
                route("n", "native", context_window_fallbacks=["p"]),
                route("p", "python", context_window_fallbacks=["gpt-4o"]),
            ]
        ),
        ["cycle of `context_window_fallbacks`: n -> p -> n", "the largest context have none"],
    ),
    "one deployment twice": (
        lambda: small_stack(
            routes=[Route(name="n", deployments=[Deployment(provider="native"), Deployment(provider="native")])],
            aliases={},
        ),
        ['route "n" names the same model of provider "native" twice', "`weight`"],
    ),
    "the number of failures that LiteLLM takes for none given": (
        lambda: LiteLLM(allowed_fails=3),
        ['option "allowed_fails"', "would then never cool down", "take another number"],
    ),
    "an unknown strategy": (lambda: LiteLLM(**_any(routing_strategy="random")), ["routing_strategy", "least-busy"]),
    "a cache on a server's port": (lambda: small_stack(cache=Redis(port=8080)), ["both listen on port 8080"]),
    "a limit of no request": (lambda: Deployment(provider="native", rpm=0), ['option "rpm"', "at least 1"]),
    "short secret": (lambda: _short_secret(), ["fewer than 16 characters"]),
}


def test_cards_that_are_shared_out_are_no_mistake() -> None:
    first, second = Gpus(uuids=["GPU-0a1b2c3d-0000"]), Gpus(uuids=["GPU-0a1b2c3d-0001"])
    providers = [vllm(gpus=first), vllm(name="second", port=8002, gpus=second)]
    providers += [vllm(name="cpu", port=8003, gpus=None, kv_cache_memory_bytes="1G")]
    small_stack(providers=providers, routes=[route("v", "vllm")], aliases={})


def _any(**options: Any) -> dict[str, Any]:
    """Options that a type checker does not look at: it would see the mistake before the options do."""
    return options


def _short_secret() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHORT_KEY", "sk-1234")
        return EnvSecret("SHORT_KEY").reveal()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_message_that_names_it(mistake: str) -> None:
    make, expected = MISTAKES[mistake]
    with pytest.raises(OptionsError) as caught:
        make()
    message = str(caught.value)
    for part in expected:
        assert part in message
    assert "\n" not in message
    assert "pydantic" not in message


def test_a_message_names_the_line_of_the_inventory(tmp_path: Path) -> None:
    inventory = tmp_path / "box.py"
    inventory.write_text("from roles.litellm import LiteLLM\n\nLiteLLM(\n    prot=4000,\n)\n")
    with pytest.raises(OptionsError, match=r"box\.py:3: LiteLLM: unknown option \"prot\"; did you mean \"port\"\?"):
        exec(compile(inventory.read_text(), str(inventory), "exec"), {})


def test_a_missing_secret_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(OptionsError, match=r"environment variable NO_SUCH_KEY is not set; run `export NO_SUCH_KEY=…`"):
        EnvSecret("NO_SUCH_KEY").reveal()
    with pytest.raises(OptionsError, match="cannot be read: No such file"):
        FileSecret(str(tmp_path / "none")).reveal()


def test_secrets_are_read_from_where_they_are_declared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-0123456789abcdef")
    (tmp_path / "key").write_text("sk-fedcba9876543210\nsecond line\n")
    assert EnvSecret("SOME_KEY").reveal() == "sk-0123456789abcdef"
    assert FileSecret(str(tmp_path / "key")).reveal() == "sk-fedcba9876543210"


def test_aliases_may_lead_over_other_aliases() -> None:
    stack = small_stack(aliases={"a": "b", "b": "n"})
    assert stack.public_name("a") == "n"


def test_two_services_may_share_a_port_on_different_addresses() -> None:
    small_stack(providers=[native(bind="127.0.0.1"), python(bind="127.0.0.2", port=8080)])


def test_an_inventory_that_imports_from_where_options_were_is_shown_the_new_place(tmp_path: Path) -> None:
    inventory = tmp_path / "box.py"
    inventory.write_text("from roles.spec import Stack\n")
    with pytest.raises(OptionsError, match=r"box\.py:1: `roles\.spec` is now `roles\.options`: write `from roles"):
        runpy.run_path(str(inventory))


def test_an_inventory_that_misspells_what_it_imports_is_shown_the_right_name(tmp_path: Path) -> None:
    inventory = tmp_path / "box.py"
    inventory.write_text("from roles.options import Deploymnet\n")
    with pytest.raises(
        OptionsError, match=r'box\.py:1: `roles\.options` has no "Deploymnet"; did you mean "Deployment"'
    ):
        runpy.run_path(str(inventory))
