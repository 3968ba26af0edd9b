"""Rules about shapes: a list where LiteLLM expects a mapping, a string where it expects a list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from roles.lint.config import FALLBACK_KINDS, Config
from roles.lint.document import Path, mapping
from roles.lint.rule import Found, rule
from roles.lint.rules.reading import problems

_STOPS = "LiteLLM does not start"

_SECTIONS: Mapping[str, type] = {
    "model_list": list,
    "router_settings": dict,
    "litellm_settings": dict,
    "general_settings": dict,
    "environment_variables": dict,
    "guardrails": list,
    "mcp_servers": dict,
}
KINDS: Mapping[type, str] = {list: "a list", dict: "a mapping", str: "a word", bool: "yes or no", int: "a number"}

_ALIAS_LIST_IS_DROPPED = (1, 97, 0)


def kind(value: object) -> str:
    """For messages: never the value itself."""
    return "nothing" if value is None else KINDS.get(type(value), f"a {type(value).__name__}")


def reads_as_number(value: object) -> bool:
    """Whether it is a number, or a word that Python reads as one; not a number too large for it."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def is_pattern(value: object) -> bool:
    """Whether it is a regular expression."""
    try:
        re.compile(str(value))
    except re.error:
        return False
    return True


@rule("error", fix="give it the shape that it must have", source="tried with 1.106.2 (load_config)")
def section_shape(config: Config) -> Iterator[Found]:
    """A section of the file is a list, a mapping or a word where it must be something else."""
    for section, wanted in _SECTIONS.items():
        value = config.document.value.get(section)
        if value is None or isinstance(value, wanted):
            continue
        outcome = "LiteLLM ignores it in silence" if section == "router_settings" else _STOPS
        yield Found((section,), f"`{section}` must be {KINDS[wanted]}, not {kind(value)}: {outcome}")
    policy = config.setting("router_settings", "retry_policy")
    if policy is not None and not isinstance(policy, dict):
        message = f"`retry_policy` must be a mapping, not {kind(policy)}: LiteLLM ignores it in silence"
        yield Found(("router_settings", "retry_policy"), message)
    yield from problems(config, "section-shape")


@rule(
    "error",
    fix="write `- model_name: NAME` with `litellm_params: {model: PROVIDER/MODEL}`",
    source="tried with 1.106.2: KeyError, TypeError or AttributeError at start",
)
def model_entry_shape(config: Config) -> Iterator[Found]:
    """An entry of `model_list` lacks `model_name` or `litellm_params.model`, or one of its parts has a wrong shape."""
    entries = config.document.value.get("model_list")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        path: Path = ("model_list", index)
        if not isinstance(entry, dict):
            yield Found(path, f"an entry of `model_list` must be a mapping, not {kind(entry)}: {_STOPS}")
            continue
        if "model_name" not in entry:
            yield Found(path, f"the entry has no `model_name`: {_STOPS}")
        elif not isinstance(entry["model_name"], str):
            message = f"`model_name` must be a word, not {kind(entry['model_name'])}: {_STOPS}"
            yield Found((*path, "model_name"), message, "put it in quotes")
        params = entry.get("litellm_params")
        if not isinstance(params, dict):
            yield Found(path, f"`litellm_params` must be a mapping, not {kind(params)}: {_STOPS}")
        elif not isinstance(params.get("model"), str):
            message = f"`litellm_params.model` must be a word, not {kind(params.get('model'))}: {_STOPS}"
            yield Found((*path, "litellm_params"), message)
        if not isinstance(entry.get("model_info", {}), dict):
            message = f"`model_info` must be a mapping, not {kind(entry['model_info'])}: {_STOPS}"
            yield Found((*path, "model_info"), message, "remove it, or write keys below it")


@rule(
    "error",
    fix="write `- NAME: [OTHER, …]`, one name an entry",
    source="tried with 1.106.2: Router.validate_fallbacks looks at two of the lists, and not at what is in an entry",
)
def fallbacks_shape(config: Config) -> Iterator[Found]:
    """A list of fallbacks is no list of one-key mappings to lists."""
    for section in ("router_settings", "litellm_settings"):
        for key in FALLBACK_KINDS:
            value = config.setting(section, key)
            if value is not None:
                yield from _fallbacks_shape(value, (section, key), checked=key != "context_window_fallbacks")
        default = config.setting(section, "default_fallbacks")
        if default is not None and not isinstance(default, list):
            message = f"`default_fallbacks` must be a list, not {kind(default)}: LiteLLM reads it letter by letter"
            yield Found((section, "default_fallbacks"), message, "write `default_fallbacks: [NAME]`")


def _fallbacks_shape(value: object, path: Path, *, checked: bool) -> Iterator[Found]:
    """`checked`: LiteLLM checks the shape when it starts; otherwise it ignores what is wrong."""
    outcome = _STOPS if checked else "LiteLLM ignores it in silence"
    if not isinstance(value, list):
        yield Found(path, f"`{path[-1]}` must be a list, not {kind(value)}: {outcome}")
        return
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            yield Found((*path, index), f"an entry must be a mapping, not {kind(entry)}: {outcome}")
        elif len(entry) != 1:
            outcome = _STOPS if checked else "LiteLLM reads the first name only"
            yield Found((*path, index), f"an entry must have one name, not {len(entry)}: {outcome}")
        for source, targets in mapping(entry).items():
            if isinstance(targets, str):
                message = f'the fallbacks of "{source}" must be a list: LiteLLM reads the word letter by letter'
                yield Found((*path, index, source), message)
            elif targets is not None and not isinstance(targets, list):
                yield Found((*path, index, source), f'the fallbacks of "{source}" must be a list, not {kind(targets)}')


@rule(
    "error",
    fix="write `model_group_alias: {ALIAS: MODEL}`",
    source="tried with 1.84.0, 1.96.0, 1.97.0 and 1.106.2",
    versions="alias → list: TypeError at each request below 1.97.0, dropped in silence since",
)
def alias_shape(config: Config) -> Iterator[Found]:
    """`model_group_alias` is no mapping of words to words (or to `{model: …, hidden: …}`)."""
    path: Path = ("router_settings", "model_group_alias")
    aliases = config.setting("router_settings", "model_group_alias")
    if aliases and not isinstance(aliases, dict):
        yield Found(path, f"`model_group_alias` must be a mapping, not {kind(aliases)}: {_STOPS}")
        return
    for alias, target in mapping(aliases).items():
        if isinstance(target, dict):
            lacking = [key for key in ("model", "hidden") if key not in target]
            if lacking:
                message = f'alias "{alias}" lacks {" and ".join(f"`{key}`" for key in lacking)}: {_STOPS}'
                yield Found((*path, alias), message, "write both `model` and `hidden`, or just the model's name")
        elif not isinstance(target, str):
            outcome = "LiteLLM drops it in silence, and the alias answers 400"
            if config.version < _ALIAS_LIST_IS_DROPPED:
                outcome = "a request for it ends in a TypeError"
            message = f'alias "{alias}" must stand for one model, not {kind(target)}: {outcome}'
            yield Found((*path, alias), message, "for several models write one `model_name` with several entries")
