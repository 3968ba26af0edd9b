"""Rules about the master key. Findings never show it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from roles.lint.config import REFERENCE, Config, is_reference
from roles.lint.document import Path
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind
from roles.lint.section_facts import facts_of

_STOPS = "LiteLLM does not start"
_OPEN = "LiteLLM lets everybody in"
_VARIABLE = "LITELLM_MASTER_KEY"
_PERMIT = "dangerously_permit_weak_or_unset_master_key"
_PERMIT_VARIABLE = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"
_WAYS_IN = frozenset({"custom_auth", "enable_jwt_auth", "enable_oauth2_auth"})
"""Settings that a release without the check is asked for instead of a key."""

_KEY = ("general_settings", "master_key")


def _is_checked(config: Config) -> bool:
    """Whether this release refuses to start with a weak key, or without one, and nothing switches the check off."""
    permitted = config.setting("general_settings", _PERMIT) is True
    by_variable = (config.environment or {}).get(_PERMIT_VARIABLE, "").lower() == "true"
    return facts_of(config.version_text).weak_master_keys is not None and not permitted and not by_variable


def _variable(config: Config, name: str) -> object:
    """A variable of the process, or one that the file sets: `environment_variables` is applied before."""
    # Without `general_settings` the key is read before they are applied.
    own = config.section("environment_variables") if config.section("general_settings") else {}
    return own[name] if name in own else (config.environment or {}).get(name)


def _key(config: Config) -> tuple[Path, object]:
    """Where the key comes from, and its value; None = there is none, or it is not known."""
    key = config.setting(*_KEY)
    if "master_key" not in config.section("general_settings"):
        return ("general_settings",), _variable(config, _VARIABLE)
    if is_reference(key):
        return _KEY, _variable(config, key.removeprefix(REFERENCE).strip())
    return _KEY, key


@rule(
    "warning",
    fix="write `master_key: os.environ/LITELLM_MASTER_KEY`",
    source="who can read the file can use the gateway as its admin",
)
def master_key_in_file(config: Config) -> Iterator[Found]:
    """The master key stands in the file."""
    key = config.setting(*_KEY)
    if isinstance(key, str) and key.strip() and not key.startswith(REFERENCE):
        yield Found(_KEY, "the master key stands in this file")


@rule(
    "error",
    fix="make one of your own, e.g. `sk-` and the output of `openssl rand -hex 32`",
    source="tried with 1.84.0 and 1.106.2 (proxy/auth/master_key_boot_check.py)",
    versions="by release: 1.84.0 takes any key",
)
def master_key_unsafe(config: Config) -> Iterator[Found]:
    """The master key is empty, no word, or one that stands in LiteLLM's documentation."""
    path, key = _key(config)
    if key is not None and not isinstance(key, str):
        message = f"the master key must be a word, not {kind(key)}: {_STOPS}"
        yield Found(path, message, "" if isinstance(key, list | dict) else "put it in quotes")
    if not isinstance(key, str):
        return
    weak = facts_of(config.version_text).weak_master_keys
    where = "" if path == _KEY and config.setting(*_KEY) == key else " (the variable's value)"
    if not key.strip():
        outcome = _STOPS if _is_checked(config) else "it starts, and takes no key at all"
        yield Found(path, f"the master key is empty{where}: {outcome}")
    elif hashlib.sha256(key.strip().encode()).hexdigest() in (weak or _ALWAYS_WEAK):
        outcome = _STOPS if _is_checked(config) else "who tries that one is the gateway's admin"
        yield Found(path, f"the master key is the one of LiteLLM's documentation{where}: {outcome}")


_ALWAYS_WEAK = frozenset({"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"})
"""The documentation's key, for releases that do not look."""


@rule(
    "error",
    fix="write `general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}` and set the variable",
    source="tried with 1.84.0 and 1.106.2",
    versions="by release: 1.106.2 does not start, 1.84.0 lets everybody in",
)
def master_key_missing(config: Config) -> Iterator[Found]:
    """No master key, in the file or in the environment (where that is given)."""
    general = config.section("general_settings")
    is_null = "master_key" in general and general["master_key"] is None
    if (config.environment is None and not is_null) or _key(config)[1] is not None:
        return
    if config.setting("general_settings", "key_management_system"):
        return  # the secret manager may have it
    path: Path = _KEY if "master_key" in general else ("general_settings",)
    if _is_checked(config):
        yield Found(path, f"there is no master key: {_STOPS}")
    elif not _WAYS_IN & set(general):
        yield Found(path, f"there is no master key: {_OPEN}")


@rule(
    "warning",
    fix="remove it, and give a master key",
    source="tried with 1.106.2: it starts without a key, and answers every request",
    versions="from the release that checks the key",
)
def master_key_check_off(config: Config) -> Iterator[Found]:
    """The setting that lets LiteLLM start with a weak master key, or with none."""
    if config.setting("general_settings", _PERMIT) is True:
        message = f"`{_PERMIT}` lets LiteLLM start without a master key: then {_OPEN.removeprefix('LiteLLM ')}"
        yield Found(("general_settings", _PERMIT), message.replace("then lets", "it then lets"))
