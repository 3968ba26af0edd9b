"""Makes `roles/lint/keys/<version>.json`: what an installed LiteLLM knows: keys, kinds, providers, models.

Run it with the Python of an environment that holds that LiteLLM, from the project's folder:

    uv venv scratch && uv pip install --python scratch/bin/python -r roles/litellm/locks/litellm-1.106.2.txt
    scratch/bin/python -m tests.litellm_keys > roles/lint/keys/1.106.2.json

LiteLLM declares only some of what it reads. So the lists are joined from its declarations (signatures, types, enums)
and from its source: every string that is looked up in a mapping of the section's name, `general_settings.get("…")`.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

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


_KINDS: Mapping[Any, str] = {
    list: "list",
    tuple: "list",
    set: "list",
    dict: "dict",
    str: "str",
    int: "number",
    float: "number",
    bool: "bool",
}
_SETTINGS = ("key_management_system", "vector_store_deny_by_default", "search_tool_deny_by_default")
_TYPES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "credential_list[]": ("litellm.types.utils", "CredentialItem", ()),
    "default_vertex_config": (
        "litellm.types.passthrough_endpoints.vertex_ai",
        "VertexPassThroughCredentials",
        (),
    ),
    "general_settings": ("litellm.proxy._types", "ConfigGeneralSettings", (*_SETTINGS, "user_api_key_cache_max_size")),
    "general_settings.alerting_args": ("litellm.types.integrations.slack_alerting", "SlackAlertingArgs", ()),
    "general_settings.litellm_jwtauth": ("litellm.proxy._types", "LiteLLM_JWTAuth", ()),
    "general_settings.key_management_settings": ("litellm.types.secret_managers.main", "KeyManagementSettings", ()),
    "general_settings.team_metadata_schema[]": (
        "litellm.types.proxy.management_endpoints.team_endpoints",
        "TeamMetadataFieldSchema",
        (),
    ),
    "general_settings.role_permissions[]": ("litellm.proxy._types", "RoleBasedPermissions", ()),
    "litellm_settings.default_team_settings[]": ("litellm.proxy._types", "TeamDefaultSettings", ()),
    "litellm_settings.model_group_settings": ("litellm.types.router", "ModelGroupSettings", ()),
    "litellm_settings.priority_reservation_settings": ("litellm.types.utils", "PriorityReservationSettings", ()),
    "litellm_settings.upperbound_key_generate_params": (
        "litellm.types.proxy.management_endpoints.ui_sso",
        "LiteLLM_UpperboundKeyGenerateParams",
        (),
    ),
    "prompts[]": ("litellm.types.prompts.init_prompts", "PromptSpec", ()),
    "prompts[].litellm_params": ("litellm.types.prompts.init_prompts", "PromptLiteLLMParams", ()),
    "router_settings.allowed_fails_policy": ("litellm.types.router", "AllowedFailsPolicy", ()),
    "router_settings.model_group_retry_policy{}": ("litellm.types.router", "RetryPolicy", ()),
    "router_settings.provider_budget_config{}": ("litellm.types.utils", "BudgetConfig", ()),
    "router_settings.retry_policy": ("litellm.types.router", "RetryPolicy", ()),
    "router_settings.routing_groups[]": ("litellm.types.router", "RoutingGroup", ()),
}
"""Path (`[]`: each item, `{}`: each value) → the type that the start reads it through, and the fields if not all."""

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
        "providers": _names(_providers(litellm)),
        "model_names": _names(_unprefixed_models(litellm)),
        "endpoints": _names(litellm.openai_compatible_endpoints),
        "model_patterns": sorted(_model_patterns(litellm)),
        "import_variables": _names(_import_variables(package)),
        "kinds": {
            "router_settings": _kinds(inspect.get_annotations(litellm.Router.__init__, eval_str=True), router),
            "general_settings": _field_kinds(proxy_types.ConfigGeneralSettings),
            "litellm_settings": _kinds(_evaluated(litellm), set(vars(litellm))),
        },
        "validated": dict(_validated()),
    }


def _validated() -> Iterator[tuple[str, Any]]:
    """Path → the fields and the required ones of the type that the start reads it through."""
    for path, (module, name, only) in _TYPES.items():
        with contextlib.suppress(ImportError, AttributeError):  # an older release
            model = getattr(importlib.import_module(module), name)
            fields = {
                str(known): field
                for name, field in model.model_fields.items()
                for known in {name, field.alias or name}
                if not only or name in only
            }
            yield (
                path,
                {
                    "fields": {name: field_of(field.annotation) for name, field in sorted(fields.items())},
                    "required": sorted(name for name, field in fields.items() if field.is_required()),
                    "closed": _refuses_others(model),
                },
            )


def _refuses_others(model: Any) -> bool:
    """Whether the type refuses a key that it does not have."""
    try:
        model(zebra_stripes=1)
    except Exception as error:
        return "zebra_stripes" in str(error).partition("input_value")[0]
    return False


def field_of(annotation: Any) -> dict[str, list[str]]:
    """The kinds of a field, and its words if only some are allowed."""
    return {"kinds": sorted(_kinds_of(annotation)), "words": sorted(_words(annotation))}


def _words(annotation: Any) -> set[str]:
    origin = get_origin(annotation)
    if origin is Literal:
        return {str(getattr(word, "value", word)) for word in get_args(annotation)}
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        return {str(member.value) for member in annotation}
    if origin in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return _words(parts[0]) if len(parts) == 1 else set()
    return set()


def _evaluated(litellm: Any) -> dict[str, Any]:
    """The annotations of the module's settings that can be read."""
    found = {}
    for name, annotation in vars(litellm).get("__annotations__", {}).items():
        with contextlib.suppress(Exception):  # names of types that are imported for the type checker only
            value = eval(annotation, vars(litellm)) if isinstance(annotation, str) else annotation
            found[name] = value
    return found


def _field_kinds(model: Any) -> dict[str, list[str]]:
    return _kinds({name: field.annotation for name, field in model.model_fields.items()}, set(model.model_fields))


def _kinds(annotations: Mapping[str, Any], names: set[str]) -> dict[str, list[str]]:
    """Setting → what YAML may give for it: `list`, `dict`, `str`, `number`, `bool`; others are left out."""
    found = {name: _kinds_of(annotation) for name, annotation in annotations.items() if name in names}
    return {name: sorted(kinds) for name, kinds in sorted(found.items()) if kinds and not name.startswith("_")}


def _kinds_of(annotation: Any) -> set[str]:
    """The kinds of a type; none if one of its parts is of no plain kind."""
    if annotation in _KINDS:
        return {_KINDS[annotation]}
    origin = get_origin(annotation)
    if origin is Literal or (inspect.isclass(annotation) and issubclass(annotation, enum.Enum)):
        return {"str"}
    if origin in (Union, UnionType):
        parts = [_kinds_of(part) for part in get_args(annotation) if part is not type(None)]
        return set().union(*parts) if all(parts) else set()
    if origin in (Annotated, Final):
        return _kinds_of(get_args(annotation)[0])
    if inspect.isclass(origin) and issubclass(origin, list | tuple | set):
        return {"list"}
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"dict"}
    if inspect.isclass(annotation) and hasattr(annotation, "model_fields"):
        return {"dict"}
    return set()


def _import_variables(package: Path) -> set[str]:
    """Variables that the release reads when it is imported: `environment_variables` of a configuration comes later."""
    found: set[str] = set()
    for file in sorted(package.rglob("*.py")):
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            for node in ast.walk(statement):
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr="getenv")
                        | ast.Name(id="getenv")
                        | ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"),
                        args=[ast.Constant(value=str(name)), *_],
                    ):
                        found.add(name)
                    case ast.Call(func=ast.Name(id=helper), args=[ast.Constant(value=str(name)), *_]) if (
                        "env" in helper
                    ):
                        found.add(name)
    return found


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
