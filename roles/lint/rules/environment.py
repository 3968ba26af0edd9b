"""Rules about `os.environ/NAME` and the master key. Findings show names of variables, never values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path
from roles.lint.rule import Found, rule

_OTHER_NOTATION = re.compile(r"os\.environ(?!/)\b.*|os\.getenv\b.*|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$[A-Z_][A-Z0-9_]*")
_RESOLVED_LATER = (
    ("general_settings", "alert_to_webhook_url"),  # process_slack_alerting_variables
    ("general_settings", "pass_through_endpoints"),  # set_env_variables_in_header
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _words(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string value of a document, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _words(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _words(inner, (*path, index))


def _is_resolved_later(path: Path) -> bool:
    """Whether other code of LiteLLM resolves the references there, in lists and within strings too."""
    return path[:2] in _RESOLVED_LATER or str(path[-1]).endswith("_ref")


@rule(
    "error",
    fix="set it where LiteLLM runs, e.g. in its unit's environment file",
    source="tried with 1.106.2: the value is None, in silence; `environment_variables` is applied later",
)
def environment_unset(config: Config) -> Iterator[Found]:
    """`os.environ/NAME` of a variable that LiteLLM's process does not have (where the environment is given)."""
    # With a secret manager, a name may refer to an entry of it.
    if config.environment is None or config.setting("general_settings", "key_management_system"):
        return
    own = config.section("environment_variables")
    for path, word in _words(config.document.value):
        name = word.removeprefix(REFERENCE)
        if name == word or not _NAME.fullmatch(name) or isinstance(path[-1], int) or _is_resolved_later(path):
            continue
        if name not in config.environment:
            late = "; `environment_variables` in this file comes too late for it" if name in own else ""
            yield Found(path, f"the environment has no {name}: LiteLLM takes this as not given{late}")


@rule(
    "error",
    fix="write the value itself, or set the variable that the library behind it reads",
    source="tried with 1.106.2",
)
def environment_in_list(config: Config) -> Iterator[Found]:
    """`os.environ/NAME` as an item of a list: LiteLLM resolves values of keys only."""
    for path, word in _words(config.document.value):
        if word.startswith(REFERENCE) and isinstance(path[-1], int) and not _is_resolved_later(path):
            yield Found(path, f'"{word}" is an item of a list: LiteLLM leaves it as it is written')


@rule(
    "error",
    fix="write `os.environ/NAME`, as the whole value",
    source="tried with 1.106.2: the words are taken as they are written",
)
def environment_notation(config: Config) -> Iterator[Found]:
    """A variable in another notation (`${NAME}`, `$NAME`, `os.environ["NAME"]`), or in the middle of a value."""
    for path, word in _words(config.document.value):
        if path[:1] == ("include",) or _is_resolved_later(path):
            continue
        if _OTHER_NOTATION.fullmatch(word):
            yield Found(path, "this looks like a variable of the environment: LiteLLM takes it as it is written")
        elif REFERENCE in word and not word.startswith(REFERENCE):
            yield Found(path, f"`{REFERENCE}` in the middle of a value: LiteLLM takes it as it is written")


@rule(
    "error",
    fix="set LITELLM_ENVIRONMENT where LiteLLM runs, or remove `supported_environments`",
    source="tried with 1.106.2: the deployment is dropped (model_info_is_active_for_environment)",
)
def litellm_environment_unset(config: Config) -> Iterator[Found]:
    """`supported_environments` of a model without LITELLM_ENVIRONMENT (where the environment is given)."""
    if config.environment is None or config.variable_is_set("LITELLM_ENVIRONMENT"):
        return
    for model in config.models:
        if model.info.get("supported_environments") is not None:
            path = (*model.path, "model_info", "supported_environments")
            message = f"{model.title} has `supported_environments`, and the environment has no LITELLM_ENVIRONMENT"
            yield Found(path, f"{message}: LiteLLM drops the deployment in silence")


@rule(
    "warning",
    fix="write `master_key: os.environ/LITELLM_MASTER_KEY`",
    source="who can read the file can use the gateway as its admin",
)
def master_key_in_file(config: Config) -> Iterator[Found]:
    """The master key stands in the file."""
    key = config.setting("general_settings", "master_key")
    if key is not None and not (isinstance(key, str) and (not key or key.startswith(REFERENCE))):
        outcome = "" if isinstance(key, str) else "; it is no word, and LiteLLM does not start"
        yield Found(("general_settings", "master_key"), f"the master key stands in this file{outcome}")


@rule(
    "error",
    fix="write `general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}` and set the variable",
    source='read in 1.106.2 (load_config): "All requests will be treated as INTERNAL_USER"',
)
def master_key_missing(config: Config) -> Iterator[Found]:
    """No master key, in the file or in the environment (where that is given): everybody is let in."""
    general = config.section("general_settings")
    if config.environment is None or "master_key" in general or config.variable_is_set("LITELLM_MASTER_KEY"):
        return
    if not {"custom_auth", "enable_jwt_auth", "enable_oauth2_auth"} & set(general):
        yield Found(("general_settings",), "there is no master key: LiteLLM asks nobody for a key")
