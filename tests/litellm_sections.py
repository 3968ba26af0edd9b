"""Makes `roles/lint/keys/sections/<version>.json`: what an installed LiteLLM takes in its sections.

Run it as `tests/litellm_keys.py`, in an environment that holds `litellm[proxy]` and nothing else (what it says about
missing packages is what is missing there):

    scratch/bin/python -m tests.litellm_sections > roles/lint/keys/sections/1.106.2.json

Words come from LiteLLM's declarations. What is lacking comes from trying: each guardrail and each callback is made as
the proxy makes it, at first with nothing, then with the variables that it asked for. No network is needed.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import dis
import importlib
import inspect
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import Any, get_args, get_origin

from tests.litellm_keys import field_of

_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_MODULE = re.compile(
    r"No module named '([\w.]+)'|pip install \"?([\w-]+)|metadata was found for ([\w-]+)|([\w-]+) not installed"
)
_NO_VARIABLES = frozenset({"API_KEY", "API_BASE", "HTTP_HANDLER"})
_DISTRIBUTIONS: Mapping[str, str] = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp",
    "sentry_sdk": "sentry-sdk",
    "slack_bolt": "slack-bolt",
    "traceloop": "traceloop-sdk",
    "Lunary": "lunary",
    "Langfuse": "langfuse",
    "semantic_router": "semantic-router",
}
"""Module → the package that holds it, where the names differ."""

_TRIES = 6
_ADDRESS = "http://127.0.0.1:9"
_KINDS: Mapping[type, str] = {list: "list", tuple: "list", dict: "mapping", str: "word", int: "number", float: "number"}


class _Refused(Exception):
    """Something that LiteLLM reported in its log instead of raising it."""


def sections() -> dict[str, Any]:
    """Everything that goes into the file."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    subprocess.check_call = _install_nothing  # type: ignore[assignment]
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    importlib.import_module("litellm.proxy.proxy_server")
    package = Path(litellm.__file__).parent
    guardrails = importlib.import_module("litellm.types.guardrails")
    mcp = importlib.import_module("litellm.types.mcp")
    secrets = importlib.import_module("litellm.types.secret_managers.main")
    caching = importlib.import_module("litellm.types.caching")
    return {
        "source": f"litellm {version('litellm')}, by tests/litellm_sections.py",
        "version": version("litellm"),
        "weak_master_keys": _weak_master_keys(),
        "guardrails": asyncio.run(_guardrails(package)),
        "guardrail_errors": _guardrail_errors(),
        "guardrail_modes": sorted(mode.value for mode in guardrails.GuardrailEventHooks),
        "guardrail_params": sorted(guardrails.LitellmParams.model_fields),
        "guardrail_fields": _guardrail_fields(guardrails),
        "content_filter_patterns": _content_filter_patterns(),
        "guardrail_keys": sorted(guardrails.Guardrail.__annotations__),
        "cache_types": sorted(kind.value for kind in caching.LiteLLMCacheType),
        "cache_call_types": sorted(get_args(caching.CachingSupportedCallTypes)),
        "cache_arguments": sorted(_parameters(importlib.import_module("litellm.caching.caching").Cache)),
        **asyncio.run(_callbacks(litellm)),
        "mcp_transports": sorted(one.value for one in mcp.MCPTransport),
        "mcp_auth_types": sorted(one.value for one in mcp.MCPAuth),
        "mcp_keys": _mcp_keys(package),
        "key_management_systems": _compared(package / "proxy" / "proxy_server.py", "initialize_secret_manager"),
        "key_management_settings": sorted(secrets.KeyManagementSettings.model_fields),
        "prompt_integrations": _prompt_integrations(),
        "search_providers": _search_providers(litellm),
        "alert_types": sorted(one.value for one in importlib.import_module("litellm.proxy._types").AlertType),
    }


def _install_nothing(command: Any, *_: Any, **__: Any) -> None:
    """LiteLLM runs pip by itself for some callbacks."""
    raise ImportError(f"pip install {command[-1]}")


def _parameters(call: Any) -> set[str]:
    return set(inspect.signature(call).parameters) - {"self", "kwargs", "args"}


def _weak_master_keys() -> list[str] | None:
    """SHA-256 of the keys that stop the start; None = the release starts with any, and with none."""
    try:
        check = importlib.import_module("litellm.proxy.auth.master_key_boot_check")
    except ImportError:
        return None
    return sorted(check.PUBLICLY_KNOWN_MASTER_KEY_SHA256_DIGESTS)


def _guardrail_fields(guardrails: Any) -> dict[str, Any]:
    """Parameter of a guardrail → the kinds of value that it takes, and its words; those that take any are left out."""
    fields = {name: field_of(field.annotation) for name, field in guardrails.LitellmParams.model_fields.items()}
    return {name: field for name, field in sorted(fields.items()) if field["kinds"]}


def _content_filter_patterns() -> list[str]:
    """The patterns that the guardrail `litellm_content_filter` has ready."""
    folder = "litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter"
    try:
        return sorted(importlib.import_module(f"{folder}.patterns").PREBUILT_PATTERNS)
    except ImportError:
        return []


def _guardrail_errors() -> str:
    """What a wrong guardrail comes to: `drops` = the proxy starts without it, `stops` = it does not start."""
    source = inspect.getsource(importlib.import_module("litellm.proxy.guardrails.init_guardrails"))
    return "drops" if "WITHOUT this guardrail" in source else "stops"


async def _guardrails(package: Path) -> dict[str, Any]:
    """Name → what its maker says without a key, with one, and the modes that it takes."""
    registry = importlib.import_module("litellm.proxy.guardrails.guardrail_registry")
    modes = [mode.value for mode in importlib.import_module("litellm.types.guardrails").GuardrailEventHooks]
    found = {}
    for name, maker in sorted(registry.guardrail_initializer_registry.items()):
        keyed = {"api_key": "k", "api_base": _ADDRESS}
        bare, full = ({mode: _make(registry, name, mode, given) for mode in modes} for given in ({}, keyed))
        entry: dict[str, Any] = {"variables": sorted(set(_variables_of(maker, package)))}
        best = next((mode for mode in modes if not full[mode]), "")
        refused = _of_mode(full)
        if best:
            entry["modes"] = sorted(mode for mode in modes if mode not in refused)
        usable = [mode for mode in modes if mode not in refused]
        for title, outcomes in (("bare", bare), ("keyed", full)):
            outcome = outcomes[usable[0] if usable else modes[0]]
            if outcome and "llm_router" not in outcome["says"]:  # the proxy has one
                entry[title] = outcome
        found[name] = entry
    return found


def _of_mode(outcomes: Mapping[str, Any]) -> set[str]:
    """The modes that are refused as such."""
    return {
        mode for mode, outcome in outcomes.items() if outcome and re.search(r"mode|[Ee]vent.?hook", outcome["says"])
    }


def _make(registry: Any, name: str, mode: str, params: Mapping[str, str]) -> dict[str, str] | None:
    """None if it is made; else `outcome`, what the proxy does then, and `says`."""
    given = {
        "guardrail_name": f"{name} {mode} {len(params)}",
        "litellm_params": {"guardrail": name, "mode": mode, **params},
    }
    try:
        registry.InMemoryGuardrailHandler().initialize_guardrail(guardrail=given)
    except ImportError as error:
        return {"outcome": "stops", "says": _line(error), "package": _package(str(error))}
    except (ValueError, TypeError) as error:
        return {"outcome": "drops", "says": _line(error)}
    except Exception as error:
        return {"outcome": "stops", "says": _line(error)}
    return None


def _line(error: Exception) -> str:
    text = f"{error.args[0]} is not set" if isinstance(error, KeyError) else str(error)
    return re.sub(r"\x1b\[\d+m", "", text).strip().splitlines()[0][:160] if text.strip() else type(error).__name__


def _variables_of(maker: Callable[..., Any], package: Path) -> Iterator[str]:
    """The environment variables that the folder of a guardrail's maker names."""
    source = Path(inspect.getfile(maker))
    files = sorted(source.parent.rglob("*.py")) if source.parent.parent.name == "guardrail_hooks" else []
    if not files:
        words = [word for code in _codes(maker.__code__) for word in code.co_consts + code.co_names]
        modules = {str(word).rpartition(".")[2] for word in words if "guardrail_hooks" in str(word)}
        files = [package / "proxy" / "guardrails" / "guardrail_hooks" / f"{module}.py" for module in modules]
    for file in files:
        if file.exists():
            yield from set(_environment_words(ast.parse(file.read_text())))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, CodeType):
            yield from _codes(instruction.argval)


def _environment_words(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value):
            yield node.value


async def _callbacks(litellm: Any) -> dict[str, Any]:
    """The words of `callbacks` and of the other lists, and what each needs."""
    logs = importlib.import_module("litellm.litellm_core_utils.litellm_logging")
    proxy = importlib.import_module("litellm.proxy.common_utils.callback_utils")
    known = {str(name) for name in litellm._known_custom_logger_compatible_callbacks}
    plain = set(re.findall(r'callback == "(\w+)"', inspect.getsource(logs)))
    made_later = set(re.findall(r'callback == "(\w+)"', inspect.getsource(litellm.utils)))
    listed = set(re.findall(r'callback == "(\w+)"', inspect.getsource(proxy.initialize_callbacks_on_proxy)))
    needs = {}
    for name in sorted(known | plain):
        need: dict[str, Any] = {}
        if name in plain - made_later:
            need = _try(name, partial(logs.set_callbacks, [name])) | {"requests_fail": True}
        if name in known and "package" not in need:
            later = _try(name, partial(_custom_logger, logs, name))
            need = (
                later
                | {"variables": sorted({*need.get("variables", ()), *later.get("variables", ())})}
                | {key: need[key] for key in ("requests_fail",) if need.get("variables")}
            )
        if need.get("package") or need.get("variables"):
            needs[name] = {key: value for key, value in sorted(need.items()) if value}
    for name in sorted(listed - known):
        need = _try(name, partial(proxy.initialize_callbacks_on_proxy, [name], True, "", {}))
        if need.get("variables"):
            needs[name] = {"start_fails": True, "variables": need["variables"]}
    ready, manager = _ready_made(litellm), litellm.logging_callback_manager
    made_of_file = "add_custom_callback_generic_api_str"
    make = getattr(manager, made_of_file, None) or getattr(manager, f"_{made_of_file}")  # private up to 1.84.0
    for name, variables in sorted(ready.items()):
        if _try(name, partial(make, name)).get("variables"):
            needs[name] = {"start_fails": True, "variables": variables}
    return {
        "callbacks": sorted({*known, *ready}),
        "callbacks_of_the_log": sorted(plain),
        "callbacks_of_the_list": sorted(listed),
        "callback_needs": needs,
    }


def _ready_made(litellm: Any) -> dict[str, list[str]]:
    """Callbacks that are an address and headers in a file of LiteLLM → their variables."""
    file = Path(litellm.__file__).parent / "integrations" / "generic_api" / "generic_api_compatible_callbacks.json"
    content: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {name: entry.get("environment_variables", []) for name, entry in content.items()}


def _custom_logger(logs: Any, name: str) -> None:
    """Makes a logger. The release logs what goes wrong, and goes on without it."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear()
    logs.verbose_logger.addHandler(ear)
    logs._in_memory_loggers.clear()
    try:
        made = logs._init_custom_logger_compatible_class(name, internal_usage_cache=None, llm_router=None)
    finally:
        logs.verbose_logger.removeHandler(ear)
    if made is None and said:
        raise _Refused(said[-1].rpartition("custom logger: ")[2])


def _try(name: str, make: Callable[[], None]) -> dict[str, Any]:
    """Makes something again and again, with the variables that it asks for, until it is made or lacks a package."""
    wanted: list[str] = []
    before = dict(os.environ)
    try:
        for _ in range(_TRIES):
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    make()
                break
            except Exception as error:
                text = f"{_line(error)} {printed.getvalue()}"
                package = _package(text)
                if package:
                    return {"package": package, "variables": wanted}
                asked = [word for word in _VARIABLE.findall(text) if _is_variable(word)]
                if not asked:
                    break
                wanted += [word for word in asked if word not in wanted]
                os.environ.update(dict.fromkeys(asked, _ADDRESS))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return {"variables": wanted}


def _is_variable(word: str) -> bool:
    return word not in os.environ and word not in _NO_VARIABLES and "REDACTED" not in word


def _package(text: str) -> str:
    found = _MODULE.search(text)
    word = next((group for group in found.groups() if group), "") if found else ""
    return next((package for module, package in _DISTRIBUTIONS.items() if word.startswith(module)), word)


def _mcp_keys(package: Path) -> dict[str, str]:
    """Key of a server → the kind of value that stops the start if it is another one; `` = not looked at."""
    fields = importlib.import_module("litellm.types.mcp_server.mcp_server_manager").MCPServer.model_fields
    source = package / "proxy" / "_experimental" / "mcp_server" / "mcp_server_manager.py"
    keys = set()
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="server_config"), attr="get"),
                args=[ast.Constant(value=str(word)), *_],
            ):
                keys.add(word)
            case ast.Subscript(value=ast.Name(id="server_config"), slice=ast.Constant(value=str(word))):
                keys.add(word)
    own = {"mcp_info": "mapping", "scopes": "", "auth_value": "word"}
    return {key: own.get(key, _kind(fields[key].annotation) if key in fields else "") for key in sorted(keys)}


def _kind(annotation: Any) -> str:
    """The one kind of value that a field takes, beside None; `` if there are several, or it is none of these."""
    kinds = {
        _KINDS.get(get_origin(part) or part, "")
        for part in (get_args(annotation) if type(None) in get_args(annotation) else (annotation,))
        if part is not type(None)
    }
    return kinds.pop() if len(kinds) == 1 else ""


def _compared(file: Path, function: str) -> list[str]:
    """The members of an enum that a function compares with: `== System.GOOGLE_KMS.value`."""
    enum = importlib.import_module("litellm.types.secret_managers.main").KeyManagementSystem
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for part in ast.walk(node):
                if isinstance(part, ast.Compare):
                    found |= set(re.findall(r"KeyManagementSystem\.(\w+)\.value", ast.unparse(part)))
    return sorted(enum[name].value for name in found)


def _prompt_integrations() -> list[str]:
    try:
        registry = importlib.import_module("litellm.proxy.prompts.prompt_registry")
    except ImportError:
        return []
    return sorted(str(getattr(name, "value", name)) for name in registry.prompt_initializer_registry)


def _search_providers(litellm: Any) -> list[str]:
    providers = getattr(importlib.import_module("litellm.types.utils"), "SearchProviders", ())
    return sorted(str(one.value) for one in providers)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # LiteLLM prints
        content = sections()
    json.dump(content, sys.stdout, indent=1)
    sys.stdout.write("\n")
    sys.stdout.flush()
    os._exit(0)  # loggers leave threads behind
