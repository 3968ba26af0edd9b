"""A stack of llama.cpp servers side by side, for `test_llama_cpp.py`: what its inventories declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaCppRelease, LlamaServer, PythonServerModel, PythonWheel
from roles.options import Deployment, EnvSecret, Mode, Probe, Provider, Route, Stack, TextFile, UrlFile
from tests.lab.inventory import LLAMA_CPP, lab_model
from tests.labhost.models import Template, tool_call_sentence

KEYS = {"LAB_KEYED_KEY": "sk-lab-keyed-0123456789", "LAB_PYTHON_KEY": "sk-lab-python-0123456789"}
"""The variables that the stack takes its keys from, and what the tests put there."""

SENTENCES = {
    "keyed.gguf": "This one asks for a key",
    "second.gguf": "The second model speaks",
    "third.gguf": "Number three came later",
    "caller.gguf": tool_call_sentence("report_weather", city="Paris"),
    "thinker.gguf": "<think>\nLet me see what this may be",
}
"""What the models answer that are served for these tests, beyond the lab's own."""
TEMPLATES: Mapping[str, Template] = {"caller.gguf": "tools", "thinker.gguf": "thinking"}
"""Those of the models whose template is not the plain one."""

ARCHIVE = "llama-b1-bin-lab-x64.tar.gz"
"""A release, as the project packs its own: the build's programs and libraries below one top folder."""

WHEEL = "llama_cpp_python-0.3.36-py3-none-any.whl"
"""A wheel that carries its own llama.cpp, the bindings and the build's libraries in one."""

LOCK = "llama-cpp-python-wheel.txt"
"""Requirements that pin it."""

Served = Mapping[str, tuple[str, str]]
"""File → address and digest."""


def llama_cpp_stack(
    served: Served, *, grown: str | None = None, carded: str | None = None, thinker: bool = False
) -> Stack:
    """Four native servers and a Python server with two models.

    Args:
        grown: with a fifth native server, run from a release, a third model of the Python server, and another Python
            server, run from the wheel that this file of requirements pins.
        carded: with another native server that is to use the host's card: from a `release` that cannot, or a `build`.
        thinker: with another native server whose model thinks, and says nothing.
    """

    def file(name: str) -> UrlFile:
        url, sha256 = served[name]
        return UrlFile(url=url, sha256=sha256)

    names = ["keyed.gguf", "second.gguf", *(["third.gguf"] if grown else [])]
    said = {name.removesuffix(".gguf"): SENTENCES[name] for name in names}
    providers: list[Provider] = [
        _server("plain", 8080, lab_model("native.gguf")),
        LlamaServer(
            name="keyed",
            port=8081,
            build=LLAMA_CPP,
            model=file("keyed.gguf"),
            served_name="keyed",
            api_key=EnvSecret("LAB_KEYED_KEY"),
            context_size=1024,
            parallel=2,
            threads=1,
            flash_attention="on",
            cache_type_k="q8_0",
            cache_type_v="q8_0",
            load_mode="mmap+mlock",
            draft_model=file("keyed.gguf"),
            draft_max=4,
            chat_template_kwargs={"colour": 'a "red" one, 100 %'},
            metrics=True,
        ),
        _server("embedder", 8082, lab_model("native.gguf"), embeddings=True, pooling="mean"),
        _server("caller", 8085, file("caller.gguf")),
        LlamaCppPython(
            name="python",
            port=8000,
            build=LLAMA_CPP,
            api_key=EnvSecret("LAB_PYTHON_KEY"),
            models=[
                PythonServerModel(model=lab_model("python.gguf"), served_name="first", context_size=1024),
                PythonServerModel(
                    model=file("second.gguf"),
                    served_name="second",
                    context_size=512,
                    flash_attention=True,
                    cache_type_k="q8_0",
                ),
                *([PythonServerModel(model=file("third.gguf"), served_name="third")] if grown else []),
            ],
        ),
    ]
    routes = [
        _route("plain", "plain", "This is the native llama server"),
        _route("keyed", "keyed", said["keyed"]),
        _route("embedder", "embedder", None, mode="embedding"),
        _route("caller", "caller", "report_weather", tools=True),
        _route("python", "first", "This is the Python llama server"),
        _route("python", "second", said["second"]),
    ]
    if grown:
        wheel = PythonWheel(name="llama-cpp-wheel", version="0.3.36", requirements=TextFile(grown))
        model = lab_model("python.gguf")
        providers.append(LlamaCppPython(name="wheeled", port=8002, build=wheel, model=model, served_name="wheeled"))
        routes.append(_route("wheeled", "wheeled", "This is the Python llama server"))
        url, sha256 = served[ARCHIVE]
        release = LlamaCppRelease(name="llama-cpp-b1", url=url, sha256=sha256)
        providers.append(_server("released", 8083, file("third.gguf"), build=release))
        routes += [_route("python", "third", said["third"]), _route("released", "released", said["third"])]
    if carded:
        url, sha256 = served[ARCHIVE]
        build: LlamaCppBuild | LlamaCppRelease = (
            LlamaCppRelease(name="llama-cpp-cuda", url=url, sha256=sha256, backend="cuda")
            if carded == "release"
            else LlamaCppBuild(name="llama-cpp-cuda", source=LLAMA_CPP.source, backend="cuda", cuda_toolkit="installed")
        )
        providers.append(_server("carded", 8084, lab_model("native.gguf"), build=build))
    if thinker:
        providers.append(_server("thinker", 8086, file("thinker.gguf")))
        routes.append(_route("thinker", "thinker", None))
    return Stack(providers=providers, routes=routes, gateway=LiteLLM(instances=1))


def _server(
    name: str, port: int, model: UrlFile, build: LlamaCppBuild | LlamaCppRelease = LLAMA_CPP, **options: Any
) -> LlamaServer:
    """With one thread: two would wait for each other by spinning, on processors that other hosts need."""
    return LlamaServer(name=name, port=port, build=build, model=model, served_name=name, threads=1, **options)


def _route(provider: str, model: str, says: str | None, mode: Mode = "chat", tools: bool | None = None) -> Route:
    return Route(
        name=model,
        deployments=[Deployment(provider=provider, model=model)],
        mode=mode,
        tools=tools,
        probe=Probe(expects=says),
    )
