"""Rules about settings that need a licence of LiteLLM Enterprise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roles.lint.config import Config
from roles.lint.document import Path
from roles.lint.rule import Found, rule
from roles.lint.rules.callbacks import all_callbacks
from roles.lint.rules.guardrails import all_guardrails

_LICENCE = "LITELLM_LICENSE"
_STOPS = "LiteLLM does not start"
_IGNORED = "it is not obeyed"

_SETTINGS: Mapping[tuple[str, ...], str] = {
    ("general_settings", "allowed_ips"): _STOPS,
    ("general_settings", "enforced_params"): _STOPS,
    ("litellm_settings", "tag_budget_config"): _STOPS,
    ("worker_registry",): _STOPS,
    ("general_settings", "enable_jwt_auth"): "every request with a JWT is refused",
    ("general_settings", "enable_oauth2_auth"): "every request is refused",
    ("general_settings", "admin_only_routes"): _IGNORED,
    ("general_settings", "public_routes"): _IGNORED,
    ("general_settings", "max_request_size_mb"): _IGNORED,
    ("general_settings", "max_response_size_mb"): _IGNORED,
    ("litellm_settings", "store_audit_logs"): "no audit log is written",
    ("litellm_settings", "allow_dynamic_callback_disabling"): _IGNORED,
}
"""Setting → what it comes to without a licence."""

_SYSTEMS = ("google_secret_manager", "hashicorp_vault", "cyberark")
_IN_CALLBACKS: Mapping[str, str] = {
    "hide_secrets": _STOPS,
    "llamaguard_moderations": _STOPS,
    "llmguard_moderations": _STOPS,
    "openai_moderations": _STOPS,
    "google_text_moderation": _STOPS,
    "blocked_user_check": _STOPS,
    "banned_keywords": _STOPS,
}
_LOGGERS: Mapping[str, str] = {"gcs_bucket": "nothing is sent to it", "azure_storage": "nothing is sent to it"}
_LISTS = frozenset({"callbacks", "success_callback", "failure_callback"})
_OFF = (None, False)


def _has_licence(config: Config) -> bool:
    """Whether a licence is given: then all of them are settings like any other."""
    return config.variable_is_given(_LICENCE) or bool(config.setting("general_settings", "litellm_license"))


def _used(config: Config) -> Iterator[tuple[Path, str, str]]:
    """What needs a licence: path, name, and what it comes to without one."""
    for path, outcome in _SETTINGS.items():
        value = config.document.value.get(path[0]) if len(path) == 1 else config.setting(path[0], path[1])
        read = path[-1] in (config.known.top if len(path) == 1 else getattr(config.known, path[0]))
        # `enforced_params: []` stops the start too.
        is_used = value is not None if outcome == _STOPS and path[0] != "worker_registry" else bool(value)
        if read and is_used and not any(value is off for off in _OFF):
            yield path, f"`{path[-1]}`", outcome
    system = config.setting("general_settings", "key_management_system")
    if system in _SYSTEMS:
        yield ("general_settings", "key_management_system"), f"`key_management_system: {system}`", _STOPS
    for callback in all_callbacks(config):
        outcomes = {**_LOGGERS, **(_IN_CALLBACKS if callback.key == "callbacks" else {})}
        if callback.key in _LISTS and callback.word in outcomes:
            yield callback.path, f"the callback {callback.word}", outcomes[callback.word]
    for guardrail in all_guardrails(config):
        if isinstance(guardrail.params.get("mode"), dict):
            yield guardrail.param("mode"), "a `mode` by tags", "each request that this guardrail runs for fails"


@rule(
    "warning",
    fix=f"set {_LICENCE} where LiteLLM runs, or remove it",
    source="tried with 1.84.0 and 1.106.2, or read in 1.106.2 (premium_user)",
    versions="by release",
)
def enterprise_setting(config: Config) -> Iterator[Found]:
    """A setting that needs a licence of LiteLLM Enterprise, and no licence."""
    if _has_licence(config):
        return
    for path, name, outcome in _used(config):
        yield Found(path, f"{name} needs {_LICENCE}: without it {outcome}")
