"""Rules about guardrails. One that is wrong is left out: its requests pass unchecked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from roles.lint.config import REFERENCE, Config, is_reference
from roles.lint.document import Path, mapping
from roles.lint.known import kind_name
from roles.lint.nearest import choose, did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind, reads_as_number
from roles.lint.section_facts import SectionFacts, facts_of

_STOPS = "LiteLLM does not start"
_WITHOUT = "LiteLLM starts WITHOUT this guardrail, and requests pass unchecked"
_WORDS_FOR_YES = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n"})
_PII_ACTIONS = ("MASK", "BLOCK")
_TEXTS = ("api_key", "api_base")
_DECISIONS = ("allow", "deny")
_LOOKED_AT = frozenset({"mode", "guardrail", "default_on", "timeout", *_TEXTS})
"""Parameters with a check of their own."""
_NAMES = {"list": "a list", "dict": "a mapping", "str": "a word", "bool": "yes or no", "number": "a number"}
_CREDENTIALS = ("api_key", "api_base", "auth_token", "api_token")


class Guardrail(NamedTuple):
    """An entry of `guardrails` whose parts are mappings."""

    title: str
    entry: Mapping[Any, Any]
    params: Mapping[Any, Any]
    path: Path

    @property
    def type(self) -> object:
        return self.params.get("guardrail")

    def param(self, key: str) -> Path:
        return (*self.path, "litellm_params", key)


def _entries(config: Config) -> list[Any]:
    entries = config.document.value.get("guardrails")
    return entries if isinstance(entries, list) else []


def all_guardrails(config: Config) -> Iterator[Guardrail]:
    for index, entry in enumerate(_entries(config)):
        params = mapping(entry).get("litellm_params")
        if isinstance(params, dict):
            name = entry.get("guardrail_name")
            title = f'guardrail "{name}"' if isinstance(name, str) and name else f"guardrail {index + 1}"
            yield Guardrail(title, entry, params, ("guardrails", index))


def _outcome(config: Config) -> str:
    return _WITHOUT if facts_of(config.version_text).guardrail_errors == "drops" else _STOPS


def is_python(name: object) -> bool:
    """Whether it names a class of one's own: `file.Class`."""
    return isinstance(name, str) and "." in name


@rule(
    "error",
    fix="write `- guardrail_name: NAME` with `litellm_params: {guardrail: TYPE, mode: pre_call}`",
    source="tried with 1.84.0 and 1.106.2: KeyError, AttributeError or TypeError at start",
)
def guardrail_shape(config: Config) -> Iterator[Found]:
    """An entry of `guardrails` is no mapping, has no name, or has no `litellm_params`."""
    for index, entry in enumerate(_entries(config)):
        path: Path = ("guardrails", index)
        if not isinstance(entry, dict):
            yield Found(path, f"an entry of `guardrails` must be a mapping, not {kind(entry)}: {_STOPS}")
            continue
        if "guardrail_name" not in entry:
            yield Found(path, f"`guardrail_name` is missing: {_STOPS}", "write `guardrail_name: NAME`")
        elif not isinstance(entry["guardrail_name"], str):
            message = f"`guardrail_name` must be a word, not {kind(entry['guardrail_name'])}: {_STOPS}"
            yield Found((*path, "guardrail_name"), message, "put it in quotes")
        params = entry.get("litellm_params")
        if not isinstance(params, dict):
            outcome = _outcome(config) if params is None and "litellm_params" in entry else _STOPS
            yield Found(path, f"`litellm_params` must be a mapping, not {kind(params)}: {outcome}")
    yield from _old_shape(config)


def _old_shape(config: Config) -> Iterator[Found]:
    """`litellm_settings.guardrails` has another shape: `- NAME: {callbacks: […], default_on: true}`."""
    old = config.setting("litellm_settings", "guardrails")
    path: Path = ("litellm_settings", "guardrails")
    fix = "move it to the top of the file"
    if old is not None and not isinstance(old, list):
        yield Found(path, f"`litellm_settings.guardrails` must be a list, not {kind(old)}: {_STOPS}", fix)
    for index, entry in enumerate(old if isinstance(old, list) else ()):
        if not isinstance(entry, dict) or not all(isinstance(value, dict) for value in entry.values()):
            message = f"`guardrails` with `guardrail_name` belongs to the top of the file: here {_STOPS}"
            yield Found((*path, index), message, fix)


@rule(
    "error",
    fix="write one that LiteLLM has",
    source="tried with 1.84.0 and 1.106.2: Unsupported guardrail",
    versions="by release: 1.84.0 does not start, 1.106.2 starts without it",
)
def guardrail_unknown(config: Config) -> Iterator[Found]:
    """`litellm_params.guardrail` is missing, or is none that LiteLLM has."""
    known = facts_of(config.version_text).guardrails
    for guardrail in all_guardrails(config):
        name = guardrail.type
        if not isinstance(name, str):
            message = f"{guardrail.title}: `guardrail` must be a word, not {kind(name)}: {_outcome(config)}"
            yield Found((*guardrail.path, "litellm_params"), message, "write `guardrail: TYPE`, e.g. presidio")
        elif name not in known and not is_python(name) and not name.startswith(REFERENCE):
            fix = did_you_mean(nearest(name, known, part=True))
            message = f'{guardrail.title}: LiteLLM has no guardrail "{name}": {_outcome(config)}'
            yield Found(guardrail.param("guardrail"), message, fix)


@rule(
    "error",
    fix="write `mode: pre_call` (or post_call, during_call, logging_only)",
    source="tried with 1.84.0 and 1.106.2; 1.84.0 looks at it for some guardrails, and the others never run",
    versions="by release",
)
def guardrail_mode(config: Config) -> Iterator[Found]:
    """`mode` of a guardrail is missing, is no mode, or is none of this guardrail."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        if "mode" not in guardrail.params:
            message = f"{guardrail.title}: `mode` is missing: {_outcome(config)}"
            yield Found((*guardrail.path, "litellm_params"), message)
            continue
        mode = guardrail.params["mode"]
        if not isinstance(mode, str | list) and not isinstance(mapping(mode).get("tags"), dict):
            message = f"{guardrail.title}: `mode` must be a word or a list, not {kind(mode)}: {_outcome(config)}"
            yield Found(guardrail.param("mode"), message)
            continue
        for word in _modes(mode):
            yield from _one_mode(guardrail, word, facts, config)


def _modes(mode: object) -> Iterator[object]:
    """The words of `pre_call`, of `[pre_call, …]` and of `{tags: {TAG: pre_call}, default: …}`."""
    if isinstance(mode, dict):
        for value in (*mapping(mode.get("tags")).values(), mode.get("default")):
            yield from _modes(value)
    elif isinstance(mode, list):
        for value in mode:
            yield from _modes(value)
    elif mode is not None:
        yield mode.lower() if isinstance(mode, str) else mode


def _one_mode(guardrail: Guardrail, word: object, facts: SectionFacts, config: Config) -> Iterator[Found]:
    if not isinstance(word, str):
        message = f"{guardrail.title}: a mode must be a word, not {kind(word)}: {_outcome(config)}"
        yield Found(guardrail.param("mode"), message)
    elif word.startswith(REFERENCE):
        return
    elif word not in facts.guardrail_modes:
        outcome = _WITHOUT if facts.guardrail_errors == "drops" and not is_python(guardrail.type) else "it never runs"
        message = f'{guardrail.title}: there is no mode "{word}": {outcome}'
        yield Found(guardrail.param("mode"), message, choose(word, facts.guardrail_modes))
    else:
        own = mapping(facts.guardrails.get(str(guardrail.type))).get("modes")
        if own and word not in own:
            message = f'{guardrail.title}: {guardrail.type} has no mode "{word}": {_outcome(config)}'
            yield Found(guardrail.param("mode"), message, f"write one of {', '.join(own)}")


@rule(
    "error",
    fix="write a value of the right type",
    source="tried with 1.84.0 and 1.106.2: LitellmParams does not validate",
    versions="by release: 1.84.0 does not start, 1.106.2 starts without it",
)
def guardrail_value(config: Config) -> Iterator[Found]:
    """A value of a guardrail has a type that LiteLLM does not take."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        for key, value in guardrail.params.items():
            wanted = ""
            if value is None or is_reference(value):
                continue
            if key in _TEXTS and not isinstance(value, str):
                wanted = "a word"
            elif key == "default_on" and not isinstance(value, bool) and str(value).lower() not in _WORDS_FOR_YES:
                wanted = "yes or no"
            elif key == "timeout" and key in facts.guardrail_params and not (value == "" or reads_as_number(value)):
                wanted = "a number of seconds"
            elif key not in _LOOKED_AT:
                wanted = _wanted(value, facts.guardrail_fields.get(key, {}))
            if wanted:
                shown = "another word" if wanted.startswith("one of") and isinstance(value, str) else kind(value)
                message = f"{guardrail.title}: `{key}` must be {wanted}, not {shown}: {_outcome(config)}"
                yield Found(guardrail.param(key), message)
        yield from _rules_of_tools(guardrail, config)
        yield from _patterns(guardrail, facts, config)
        for entity, action in mapping(guardrail.params.get("pii_entities_config")).items():
            if action not in _PII_ACTIONS:
                message = f"{guardrail.title}: an entity is either masked or blocked: {_outcome(config)}"
                path = (*guardrail.param("pii_entities_config"), entity)
                yield Found(path, message, "write MASK or BLOCK")


@rule(
    "error",
    fix="give it, or set the variable where LiteLLM runs",
    source="tried with 1.106.2: each guardrail was made with nothing and with a key (roles/lint/keys/sections)",
    versions="by release",
)
def guardrail_incomplete(config: Config) -> Iterator[Found]:
    """A guardrail lacks something that it cannot be made without: a key, an address, a name."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        known = mapping(facts.guardrails.get(str(guardrail.type)))
        has_key = any(guardrail.params.get(key) is not None for key in _CREDENTIALS)
        lacks = mapping(known.get("keyed" if has_key else "bare"))
        if not lacks or "package" in lacks or _may_be_given(guardrail, known, lacks, config, facts):
            continue
        outcome = _WITHOUT if lacks["outcome"] == "drops" and facts.guardrail_errors == "drops" else _STOPS
        message = f'{guardrail.title} is not complete (LiteLLM says "{lacks["says"]}"): {outcome}'
        yield Found((*guardrail.path, "litellm_params"), message)


def _wanted(value: object, field: Mapping[str, Sequence[str]]) -> str:
    """What a parameter must be by its type; `` if it takes the value. What pydantic reads as such counts too."""
    kinds, words = field.get("kinds", ()), field.get("words", ())
    if words and value not in words:
        return f"one of {', '.join(words)}"
    if words or kind_name(value) in kinds or not {"list", "dict", "str"} & {kind_name(value), *kinds}:
        return ""
    if kind_name(value) == "str" or not kinds:
        return _NAMES[kinds[0]] if kinds and set(kinds) <= {"list", "dict"} else ""
    return " or ".join(_NAMES[name] for name in kinds)


def _rules_of_tools(guardrail: Guardrail, config: Config) -> Iterator[Found]:
    rules = guardrail.params.get("rules") if guardrail.type == "tool_permission" else None
    for index, entry in enumerate(rules if isinstance(rules, list) else ()):
        decision = mapping(entry).get("decision")
        if decision is not None and decision not in _DECISIONS:
            message = f"{guardrail.title}: a tool is either allowed or denied: {_outcome(config)}"
            yield Found((*guardrail.param("rules"), index, "decision"), message, "write allow or deny")


def _patterns(guardrail: Guardrail, facts: SectionFacts, config: Config) -> Iterator[Found]:
    patterns = guardrail.params.get("patterns") if guardrail.type == "litellm_content_filter" else None
    for index, entry in enumerate(patterns if isinstance(patterns, list) else ()):
        given = mapping(entry)
        path, name, pattern = (
            (*guardrail.param("patterns"), index),
            given.get("pattern_name"),
            given.get("pattern"),
        )
        if isinstance(name, str) and facts.content_filter_patterns and name not in facts.content_filter_patterns:
            message = f'{guardrail.title}: there is no pattern "{name}": {_outcome(config)}'
            fix = (
                did_you_mean(nearest(name, facts.content_filter_patterns, part=True))
                or "write `pattern_type: regex` with one"
            )
            if given.get("pattern_type") == "prebuilt":
                yield Found((*path, "pattern_name"), message, fix)
        if isinstance(pattern, str) and not _is_pattern(pattern):
            message = f"{guardrail.title}: this is no regular expression: {_STOPS}"
            yield Found((*path, "pattern"), message, "correct it")


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _may_be_given(
    guardrail: Guardrail, known: Mapping[Any, Any], lacks: Mapping[Any, Any], config: Config, facts: SectionFacts
) -> bool:
    """Whether what is lacking may come from elsewhere: a variable, or a parameter of this guardrail alone."""
    own = set(guardrail.params) - {"guardrail", "mode", "default_on", *_CREDENTIALS}
    if own & set(map(str, lacks["says"].replace("`", " ").replace("'", " ").split())):
        return True
    if own - set(facts.guardrail_params) or any(key.endswith(("_id", "_key", "_base", "_name")) for key in own):
        return True
    variables = known.get("variables", ())
    if not variables:
        return False
    if config.environment is None:
        return True
    return any(config.variable_is_given(name) for name in variables)


@rule(
    "warning",
    fix="install it beside litellm[proxy]",
    source="tried with 1.106.2: without the package the start fails",
    versions="by release",
)
def guardrail_package(config: Config) -> Iterator[Found]:
    """A guardrail needs a package that `litellm[proxy]` does not bring."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        known = mapping(facts.guardrails.get(str(guardrail.type)))
        package = mapping(known.get("keyed")).get("package")
        if package:
            message = f"{guardrail.title} needs the package {package}: without it {_STOPS}"
            yield Found(guardrail.param("guardrail"), message, f"install {package} beside litellm[proxy]")


def misplaced_in_guardrails(config: Config) -> Iterator[Found]:
    """Keys beside `litellm_params` that belong into it: for the rule `misplaced-key`."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        for key in guardrail.entry:
            if key in facts.guardrail_params and key not in facts.guardrail_keys:
                outcome = "it runs for no request by itself" if key == "default_on" else "here LiteLLM ignores it"
                message = f'"{key}" belongs into the `litellm_params` of {guardrail.title}: {outcome}'
                yield Found((*guardrail.path, key), message, "move it to `litellm_params`")


@rule(
    "warning",
    fix="correct the word, or remove it",
    source="tried with 1.106.2: it is not read",
    versions="by release",
)
def guardrail_unknown_key(config: Config) -> Iterator[Found]:
    """A key beside `guardrail_name` and `litellm_params` that LiteLLM does not read."""
    facts = facts_of(config.version_text)
    for guardrail in all_guardrails(config):
        for key in guardrail.entry:
            if key not in facts.guardrail_keys and key not in facts.guardrail_params:
                fix = did_you_mean(nearest(str(key), facts.guardrail_keys, part=True))
                yield Found((*guardrail.path, key), f'{guardrail.title}: LiteLLM reads no such key as "{key}"', fix)
