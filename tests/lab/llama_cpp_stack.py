"""A stack of llama.cpp servers side by side, for `test_llama_cpp.py`: what its inventories declare."""

from __future__ import annotations

from collections.abc import Mapping

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaCppRelease, LlamaServer, PythonServerModel, PythonWheel
from roles.spec import Deployment, EnvSecret, Mode, Probe, Provider, Route, Stack, TextFile, UrlFile
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
        carded: with another native server that is to use the host's card: from a `release` that can not, or a `build`.
        thinker: with another native server whose model thinks, and says nothing.
    """

    def file(name: str) -> UrlFile:
        url, sha256 = served[name]
        return UrlFile(url=url, sha256=sha256)

    names = ["keyed.gguf", "second.gguf", *(["third.gguf"] if grown else [])]
    said = {name.removesuffix(".gguf"): SENTENCES[name] for name in names}
    providers: list[Provider] = [
        LlamaServer(name="plain", port=8080, build=LLAMA_CPP, model=lab_model("native.gguf"), served_name="plain"),
        LlamaServer(
            name="keyed",
            port=8081,
            build=LLAMA_CPP,
            model=file("keyed.gguf"),
            served_name="keyed",
            api_key=EnvSecret("LAB_KEYED_KEY"),
            context_size=1024,
            parallel=2,
            flash_attention="on",
            cache_type_k="q8_0",
            cache_type_v="q8_0",
            load_mode="mmap+mlock",
            draft_model=file("keyed.gguf"),
            draft_max=4,
            chat_template_kwargs={"colour": 'a "red" one, 100 %'},
            metrics=True,
        ),
        LlamaServer(
            name="embedder",
            port=8082,
            build=LLAMA_CPP,
            model=lab_model("native.gguf"),
            served_name="embedder",
            embeddings=True,
            pooling="mean",
        ),
        LlamaServer(name="caller", port=8085, build=LLAMA_CPP, model=file("caller.gguf"), served_name="caller"),
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
        providers.append(
            LlamaServer(name="released", port=8083, build=release, model=file("third.gguf"), served_name="released")
        )
        routes += [_route("python", "third", said["third"]), _route("released", "released", said["third"])]
    if carded:
        url, sha256 = served[ARCHIVE]
        build: LlamaCppBuild | LlamaCppRelease = (
            LlamaCppRelease(name="llama-cpp-cuda", url=url, sha256=sha256, backend="cuda")
            if carded == "release"
            else LlamaCppBuild(name="llama-cpp-cuda", source=LLAMA_CPP.source, backend="cuda")
        )
        providers.append(
            LlamaServer(name="carded", port=8084, build=build, model=lab_model("native.gguf"), served_name="carded")
        )
    if thinker:
        model = file("thinker.gguf")
        providers.append(LlamaServer(name="thinker", port=8086, build=LLAMA_CPP, model=model, served_name="thinker"))
        routes.append(_route("thinker", "thinker", None))
    return Stack(providers=providers, routes=routes, gateway=LiteLLM(instances=1))


def _route(provider: str, model: str, says: str | None, mode: Mode = "chat", tools: bool | None = None) -> Route:
    return Route(
        name=model,
        deployments=[Deployment(provider=provider, model=model)],
        mode=mode,
        tools=tools,
        probe=Probe(expects=says),
    )
