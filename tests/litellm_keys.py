"""Makes `roles/lint/keys/<version>.json`: the keys, providers and model names that an installed LiteLLM knows.

Run it with the Python of an environment that holds that LiteLLM, from the project's folder:

    uv venv scratch && uv pip install --python scratch/bin/python -r roles/litellm/locks/litellm-1.106.2.txt
    scratch/bin/python -m tests.litellm_keys > roles/lint/keys/1.106.2.json

LiteLLM declares only some of what it reads. So the lists are joined from its declarations (signatures, types, enums)
and from its source: every string that is looked up in a mapping of the section's name, `general_settings.get("…")`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

_READERS: Mapping[str, frozenset[str]] = {
    "top": frozenset({"config", "_config"}),
    "general_settings": frozenset({"general_settings", "_general_settings", "proxy_general_settings"}),
    "litellm_settings": frozenset({"litellm_settings", "_litellm_settings"}),
    "litellm_params": frozenset(
        {"litellm_params", "_litellm_params", "optional_params", "non_default_params", "kwargs"}
    ),
    "model_info": frozenset({"model_info", "_model_info"}),
    "cache_params": frozenset({"redis_kwargs"}),
}
"""Section → the names that LiteLLM's source gives to the mapping it reads that section from."""

_TOP_READERS = ("proxy/proxy_server.py", "proxy/proxy_cli.py")
"""`config` means the whole file only here."""


_DATABASE_ROWS = {"force_reload", "interval_hours"}


def known_keys() -> dict[str, Any]:
    """Everything that goes into the file."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    router_types = importlib.import_module("litellm.types.router")
    proxy_types = importlib.import_module("litellm.proxy._types")
    constants = importlib.import_module("litellm.constants")
    utils = importlib.import_module("litellm.types.utils")
    caching = importlib.import_module("litellm.caching.caching")
    redis = importlib.import_module("redis")
    package = Path(litellm.__file__).parent
    read = _read_keys(package)

    deployment = router_types.Deployment.model_fields
    router = set(litellm.Router.get_valid_args()) - set(
        getattr(constants, "ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG", ())
    )
    parameters = set(router_types.LiteLLM_Params.model_fields) | set(
        router_types.LiteLLMParamsTypedDict.__annotations__
    )
    for call in (
        litellm.completion,
        litellm.embedding,
        litellm.transcription,
        litellm.image_generation,
        litellm.rerank,
    ):
        parameters |= _parameters(call)
    parameters |= set(getattr(utils, "all_litellm_params", ())) | set(constants.OPENAI_CHAT_COMPLETION_PARAMS)
    model_info = set(router_types.ModelInfo.model_fields) | set(utils.ModelInfo.__annotations__)
    model_info |= {key for entry in litellm.model_cost.values() for key in entry}
    return {
        "source": f"litellm {version('litellm')}, by tests/litellm_keys.py",
        "version": version("litellm"),
        # The two that are taken away are read from rows of the database that the source calls `config` too.
        "top": _names((read["top"] | set(proxy_types.ConfigYAML.model_fields) | {"include"}) - _DATABASE_ROWS),
        "model_entry": _names({*deployment, "tpm", "rpm"}),
        "litellm_params": _names(parameters),
        "litellm_params_read": _names((read["litellm_params"] | _provider_options(package)) - parameters),
        "model_info": _names(model_info | read["model_info"]),
        "router_settings": _names(router),
        "litellm_settings": _names(read["litellm_settings"] | _module_settings(litellm, package) | _cases(package)),
        "general_settings": _names(
            read["general_settings"]
            | set(proxy_types.ConfigGeneralSettings.model_fields)
            | _validated_general_settings(package)
        ),
        "cache_params": _names(_parameters(caching.Cache) | _parameters(redis.Redis) | read["cache_params"]),
        "retry_policy": _names(router_types.RetryPolicy.model_fields),
        "allowed_fails_policy": _names(router_types.AllowedFailsPolicy.model_fields),
        "routing_strategies": _names(_strategies(router_types)),
        "pre_call_checks": _names(_literals(router_types.OptionalPreCallChecks)),
        "callbacks": _names(set(litellm._known_custom_logger_compatible_callbacks)),
        "providers": _names(_providers(litellm)),
        "model_names": _names(_unprefixed_models(litellm)),
        "endpoints": _names(litellm.openai_compatible_endpoints),
        "model_patterns": sorted(_model_patterns(litellm)),
    }


def _names(names: Iterable[object]) -> list[str]:
    return sorted({str(name) for name in names if not str(name).startswith("_")} - {"self", "args", "kwargs", "params"})


def _parameters(call: Any) -> set[str]:
    return set(inspect.signature(call).parameters)


def _validated_general_settings(package: Path) -> set[str]:
    """The fields of the types that LiteLLM reads the section through: `DatabaseTimeoutSettings.model_validate(…)`."""
    fields: set[str] = set()
    for file in sorted((package / "proxy").rglob("*.py")):
        tree = ast.parse(file.read_text())
        types = {
            _name(node.func.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "model_validate"
            if [_name(argument) for argument in node.args] == ["general_settings"]
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in types:
                fields |= {_name(statement.target) for statement in node.body if isinstance(statement, ast.AnnAssign)}
    return fields


def _literals(annotation: Any) -> set[str]:
    """The words of a `Literal`, also inside a `list[…]`."""
    arguments = getattr(annotation, "__args__", ())
    return {argument for argument in arguments if isinstance(argument, str)}.union(*map(_literals, arguments))


def _strategies(router_types: Any) -> set[str]:
    try:
        return set(importlib.import_module("litellm.router_utils.routing_groups").VALID_ROUTING_STRATEGIES)
    except (ImportError, AttributeError):  # older releases hold the list in the router's body
        return {"simple-shuffle", *(strategy.value for strategy in router_types.RoutingStrategy)}


def _providers(litellm: Any) -> set[str]:
    """What may stand before the first slash: providers of the code, of its JSON file, and prompt managers."""
    providers = {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}
    from_json = Path(litellm.__file__).parent / "llms" / "openai_like" / "providers.json"
    if from_json.exists():
        providers |= set(json.loads(from_json.read_text()))
    return providers | set(litellm._known_custom_logger_compatible_callbacks)


def _unprefixed_models(litellm: Any) -> Iterator[str]:
    """Names that LiteLLM finds a provider for although they do not begin with one."""
    names = {str(name) for name in (*litellm.model_cost, *litellm.model_list_set)}
    names |= {name.partition("/")[2] for name in names if "/" in name}
    prefixes = _providers(litellm)
    for name in sorted(names):
        if name.partition("/")[0] in prefixes:
            continue
        try:
            litellm.get_llm_provider(name)
        except litellm.BadRequestError:
            continue
        yield name


def _model_patterns(litellm: Any) -> set[str]:
    """The rules by which LiteLLM gives newer names to a provider: `claude-*` to Anthropic."""
    file = Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"
    block = json.loads(file.read_text()).get("fallback_generalizations") or []
    rules = block if isinstance(block, list) else block.get("rules", [])
    return {rule["pattern"] for rule in rules if "litellm_provider" in rule.get("model_info", {})}


def _module_settings(litellm: Any, package: Path) -> set[str]:
    """Every key of `litellm_settings` becomes an attribute of the module: those of a plain value, and those read."""
    plain = (type(None), bool, int, float, str, list, dict)
    own = {name for name, value in vars(litellm).items() if isinstance(value, plain)}
    read: set[str] = set()
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="litellm"), attr=name) if name in own:
                    read.add(name)
                case ast.Call(
                    func=ast.Name(id="getattr"), args=[ast.Name(id="litellm"), ast.Constant(value=str(name)), *_]
                ):
                    read.add(name)
    return read | {name for name in own if name == name.lower()}


def _provider_options(package: Path) -> set[str]:
    """Options that one provider only knows (`num_ctx` of Ollama): the annotated names of its classes."""
    return {
        statement.target.id
        for folder in (package / "llms", package / "types" / "llms")
        for file in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def _cases(package: Path) -> set[str]:
    """Words of `key == "…"` in the loop over `litellm_settings`."""
    found = set()
    for node in ast.walk(ast.parse((package / "proxy" / "proxy_server.py").read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "key":
            found |= {right.value for right in node.comparators if isinstance(right, ast.Constant)}
    return {word for word in found if isinstance(word, str)}


def _read_keys(package: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {section: set() for section in _READERS}
    for folder in (package, package.parent / "litellm_enterprise"):
        for file in sorted(folder.rglob("*.py")):
            names = {
                section: readers
                for section, readers in _READERS.items()
                if section != "top" or str(file.relative_to(folder)) in _TOP_READERS
            }
            for owner, word in _lookups(ast.parse(file.read_text())):
                for section, readers in names.items():
                    if owner in readers:
                        found[section].add(word)
    return found


def _lookups(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """`x.get("word")`, `x.pop("word")`, `x["word"]` and `"word" in x` as (x, word)."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=owner, attr="get" | "pop"), args=[ast.Constant(value=str(word)), *_]
            ):
                yield _name(owner), word
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(word))):
                yield _name(owner), word
            case ast.Compare(left=ast.Constant(value=str(word)), ops=[ast.In() | ast.NotIn()], comparators=[owner]):
                yield _name(owner), word


def _name(node: ast.expr) -> str:
    """`x` of `x`, of `y.x`, of `y["x"]` and of `y.get("x")`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
    return ""


if __name__ == "__main__":
    json.dump(known_keys(), sys.stdout, indent=1)
    sys.stdout.write("\n")
