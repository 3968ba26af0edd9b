"""Rules about callbacks: the words of each list, and the packages and variables that they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path, mapping
from roles.lint.nearest import did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind
from roles.lint.section_facts import SectionFacts, facts_of

_STOPS = "LiteLLM does not start"
_LISTS = (
    "callbacks",
    "success_callback",
    "failure_callback",
    "audit_log_callbacks",
    "service_callback",
    "input_callback",
)
_LOADED = ("callbacks", "success_callback", "failure_callback", "audit_log_callbacks")
"""Lists whose dotted words are imported."""
_SERVICE = frozenset({"prometheus_system", "prometheus", "datadog", "otel"})
_OTHERS: dict[str, frozenset[str]] = {
    "service_callback": _SERVICE,
    "input_callback": frozenset({"sentry", "lunary", "langfuse"}),
    "audit_log_callbacks": frozenset(),
}
"""Lists that take other words too."""

_BY_THEMSELVES = frozenset({"cache"})
"""Words that LiteLLM puts into its lists itself."""


class Callback(NamedTuple):
    """A word of a list of callbacks; `key` is the list."""

    key: str
    word: str
    path: Path


def all_callbacks(config: Config) -> Iterator[Callback]:
    """Every word of every list of callbacks; two of the lists may be one word too."""
    for key in _LISTS:
        value = config.setting("litellm_settings", key)
        path: Path = ("litellm_settings", key)
        if key in ("callbacks", "service_callback") and isinstance(value, str):
            yield Callback(key, value, path)
        for index, word in enumerate(value if isinstance(value, list) else ()):
            if isinstance(word, str):
                yield Callback(key, word, (*path, index))


def _own(config: Config) -> frozenset[str]:
    """Loggers that `callback_settings` declares."""
    settings = config.section("callback_settings")
    return frozenset(
        str(name)
        for name, value in settings.items()
        if mapping(value).get("callback_type") == "generic_api"
        and mapping(value).get("endpoint") is not None
        and mapping(value).get("headers") is not None
    )


@rule(
    "error",
    fix="write a list: `callbacks: [prometheus]`",
    source="tried with 1.106.2: `callbacks` is imported as a module of that name, the others are read letter by letter",
)
def callbacks_shape(config: Config) -> Iterator[Found]:
    """A list of callbacks is a single word."""
    callbacks = config.setting("litellm_settings", "callbacks")
    # The dotted path of a Python object is the only single string that works.
    if isinstance(callbacks, str) and "." not in callbacks:
        yield Found(("litellm_settings", "callbacks"), f"`callbacks` must be a list, not a word: {_STOPS}")
    for key in _LOADED[1:]:
        if isinstance(config.setting("litellm_settings", key), str):
            message = f"`{key}` must be a list, not a word: LiteLLM reads it letter by letter and calls nothing"
            yield Found(("litellm_settings", key), message, f"write `{key}: [NAME]`")


@rule(
    "error",
    fix="write the word alone; its parameters belong into `callback_settings` or a setting of its own",
    source="tried with 1.84.0 and 1.106.2",
)
def callback_item(config: Config) -> Iterator[Found]:
    """An item of a list of callbacks is no word, or the list is empty of value (`callbacks:`)."""
    settings = config.section("litellm_settings")
    for key in _LISTS:
        if key not in settings:
            continue
        value, path = settings[key], ("litellm_settings", key)
        if (
            value is None
            or isinstance(value, dict | int | float)
            or (key == "input_callback" and isinstance(value, str))
        ):
            message = f"`{key}` must be a list, not {kind(value)}: {_of_list(key, value)}"
            yield Found(path, message, f"write `{key}: [NAME]`, or remove it")
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if not isinstance(item, str):
                message = f"an item of `{key}` must be a word, not {kind(item)}: {_of_item(key, item)}"
                yield Found((*path, index), message, _fix(item))


def _of_list(key: str, value: object) -> str:
    """What a list of callbacks comes to that is none."""
    if key == "input_callback":
        return "every request fails"
    if isinstance(value, dict) and key != "callbacks":
        return "LiteLLM takes its keys for callbacks, and reads nothing else of it"
    return _STOPS


def _of_item(key: str, item: object) -> str:
    stops = key == "callbacks" or (key in _LOADED and not isinstance(item, dict | list))
    return _STOPS if stops else "LiteLLM calls nothing"


def _fix(item: object) -> str:
    """The fix for `- websearch_interception: {…}`, which people write most."""
    names = [name for name in mapping(item) if isinstance(name, str)]
    if not names:
        return ""
    parameters = f"its parameters as `litellm_settings.{names[0]}_params` or in `callback_settings`"
    return f"write `{names[0]}` alone, and {parameters}"


@rule(
    "error",
    fix="write a callback that LiteLLM has, or the Python object as `file.object`",
    source="tried with 1.84.0 and 1.106.2: in `callbacks` the start fails, in the others nothing is called",
    versions="by release",
)
def callback_unknown(config: Config) -> Iterator[Found]:
    """A word in a list of callbacks that LiteLLM does not know there."""
    facts, own = facts_of(config.version_text), _own(config)
    for callback in all_callbacks(config):
        known = _known(callback.key, facts) | own
        if "." in callback.word or callback.word in known or _is_metrics(callback):
            continue
        outcome = _STOPS if callback.key == "callbacks" else "LiteLLM calls nothing, and says nothing"
        message = f'`{callback.key}` knows no "{callback.word}": {outcome}'
        if callback.key != "callbacks" and callback.word in facts.callbacks_of_the_list:
            yield Found(callback.path, message, "write it in `callbacks`")
        elif callback.key == "callbacks" and callback.word in facts.callbacks_of_the_log:
            yield Found(callback.path, message, "write it in `success_callback` and `failure_callback`")
        elif callback.word in config.section("callback_settings"):
            fix = "give it `callback_type: generic_api`, `endpoint` and `headers` in `callback_settings`"
            yield Found(callback.path, message, fix)
        else:
            close = nearest(callback.word, known, part=True)
            yield Found(callback.path, message, did_you_mean(close))


def _known(key: str, facts: SectionFacts) -> frozenset[str]:
    everywhere = frozenset(facts.callbacks)
    if key == "callbacks":
        return everywhere | frozenset(facts.callbacks_of_the_list)
    return everywhere | frozenset(facts.callbacks_of_the_log) | _BY_THEMSELVES | _OTHERS.get(key, frozenset())


def _is_metrics(callback: Callback) -> bool:
    """Whether LiteLLM takes it for Prometheus: every word of `success_callback` that contains that."""
    return callback.key == "success_callback" and "prometheus" in callback.word and "." not in callback.word


@rule(
    "warning",
    fix="install it beside litellm[proxy]",
    source="tried with 1.106.2: each was made without its package (roles/lint/keys/sections)",
    versions="by release",
)
def callback_package(config: Config) -> Iterator[Found]:
    """A callback needs a package that `litellm[proxy]` does not bring."""
    facts = facts_of(config.version_text)
    for callback in all_callbacks(config):
        need = facts.callback_needs.get(callback.word, {})
        if "package" in need and _is_made(callback, facts):
            outcome = _without(callback, need)
            message = f"the callback {callback.word} needs the package {need['package']}: without it {outcome}"
            yield Found(callback.path, message, f"install {need['package']} beside litellm[proxy]")


def _is_made(callback: Callback, facts: SectionFacts) -> bool:
    """Whether the list makes the callback that the word names."""
    return callback.key != "service_callback" and callback.word in _known(callback.key, facts)


def _without(callback: Callback, need: Any) -> str:
    if need.get("start_fails"):
        return _STOPS
    fails = need.get("requests_fail") and callback.key != "callbacks"
    return "every request fails" if fails else "nothing is sent to it"


@rule(
    "warning",
    fix="install prometheus-client beside litellm[proxy]",
    source="tried with 1.84.0 and 1.106.2 without the package",
)
def prometheus_package(config: Config) -> Iterator[Found]:
    """The callbacks of Prometheus need a package that `litellm[proxy]` does not bring."""
    callback = metrics(config)
    if callback:
        outcome = "there are no metrics" if callback.key == "failure_callback" else _STOPS
        message = f"the callback {callback.word} needs the package prometheus-client: without it {outcome}"
        yield Found(callback.path, message)


def metrics(config: Config) -> Callback | None:
    """The first callback of Prometheus."""
    return next((callback for callback in all_callbacks(config) if _makes_metrics(callback)), None)


def _makes_metrics(callback: Callback) -> bool:
    if callback.key == "service_callback":
        return callback.word == "prometheus_system"
    return _is_metrics(callback) or (callback.key in _LOADED[:3] and callback.word == "prometheus")


@rule(
    "error",
    fix="set it where LiteLLM runs",
    source="tried with 1.106.2: each was made without its variables (roles/lint/keys/sections)",
    versions="by release",
)
def callback_variable(config: Config) -> Iterator[Found]:
    """None of the variables that a callback needs is set (where the environment is given)."""
    if config.environment is None:
        return
    facts = facts_of(config.version_text)
    settings = config.section("litellm_settings")
    for callback in all_callbacks(config):
        need = facts.callback_needs.get(callback.word, {})
        variables = need.get("variables", ())
        given = any(config.variable_is_given(name) for name in variables)
        elsewhere = f"{callback.word}_params" in settings or callback.word in config.section("callback_settings")
        if variables and not given and not elsewhere and _is_made(callback, facts):
            message = f"the callback {callback.word} needs {' and '.join(variables[:2])}: {_without(callback, need)}"
            yield Found(callback.path, message)


@rule(
    "error",
    fix="set `store_audit_logs: true` beside it, or remove it",
    source='tried with 1.106.2: "Audit log callbacks will not fire"',
    versions="by release",
)
def audit_log_off(config: Config) -> Iterator[Found]:
    """`audit_log_callbacks` without `store_audit_logs: true`: nothing is written."""
    settings = config.section("litellm_settings")
    is_read = "audit_log_callbacks" in config.known.litellm_settings
    if is_read and settings.get("audit_log_callbacks") and not settings.get("store_audit_logs"):
        message = "`audit_log_callbacks` without `store_audit_logs: true`: LiteLLM calls none of them"
        yield Found(("litellm_settings", "audit_log_callbacks"), message)


def loaded_callbacks(config: Config) -> Iterator[tuple[Path, str, bool]]:
    """Dotted words that LiteLLM imports: path, word, and whether it must be an instance or a function."""
    for callback in all_callbacks(config):
        if "." in callback.word and callback.key in _LOADED and not callback.word.startswith(REFERENCE):
            yield callback.path, callback.word, callback.key == "callbacks"
