"""Rules about `os.environ/NAME`. Findings show names of variables, never values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path
from roles.lint.rule import Found, rule

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL = re.compile(r"\$\{\s*[A-Za-z_][A-Za-z0-9_]*\s*(?:[:?+=#%/-][^{}]*)?\}|\$\([A-Z_][A-Z0-9_]*\)")
_BARE = re.compile(r"\$[A-Z_][A-Z0-9_]{2,}\b")
_WHOLE = re.compile(
    r"(?i:os[._]env).*|(?i:env|environ)[/:.][A-Z_][A-Z0-9_]*|process\.env\.\w+|"
    r"(?:os\.)?(?:env|environ|getenv)[(\[]\s*[\"']?\w+[\"']?\s*[)\]]|"
    r"\$+[A-Z_][A-Z0-9_]*|\$env:\w+|%[A-Z_][A-Z0-9_]*%|\{\{[^{}]*\}\}|\{%.*%\}|\$\{\{.*\}\}|"
    r"<%.*%>|#\{\w+\}#?|@@?\w+@@?|__[A-Z][A-Z0-9_]*__|\$[a-z][a-z0-9]*_[a-z0-9_]+"
)
_TEMPLATE = re.compile(r"\{\{\s*[\w.]+\s*\}\}")
_ENCRYPTED = re.compile(r"ENC\[[A-Z0-9_]+,data:.*\]|\$ANSIBLE_VAULT;.*", re.DOTALL)
"""What SOPS and Ansible leave in a file until it is decrypted."""
_ADDRESSES = re.compile(r"(?:^|_)(?:base|url|uri|host|endpoint|key|token|secret|password)$")
"""Keys whose values are no texts: there a `$` or `{{` begins a variable."""
_KEYS = re.compile(r"(?:^|_)(?:key|token|secret)$")
_NO_KEY = re.compile(r"[$%#@!]*\w*[(\[{<].*[)\]}>]\w?|\$[({].*|[a-z][a-z0-9+.-]*://.*|(?:vault|arn:aws|ref\+\w+):.*")
"""What no key looks like: a word in brackets, the address of a secret."""
_TEXTS = re.compile(
    r"prompt|content|message|pattern|regex|template|description|instruction|text|body|banned|keywords|code|password|secret"
)
"""Keys whose values may have anything within them."""
_TEMPLATES = re.compile(r"(?:^|_)(?:stop|prompt|template|regex|pattern|content|message)s?$")
"""Keys whose values may be anything, a whole template too."""
_OWN_NOTATION = ("mcp_servers", "mcp_tools", "include", "prompts")
_RESOLVED_LATER = (
    ("general_settings", "alert_to_webhook_url"),  # process_slack_alerting_variables
    ("general_settings", "pass_through_endpoints"),  # set_env_variables_in_header
)


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
    for path, word in config.words:
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
    for path, word in config.words:
        if word.startswith(REFERENCE) and isinstance(path[-1], int) and not _is_resolved_later(path):
            outcome = "LiteLLM leaves it as it is written"
            if path[:2] == ("litellm_settings", "callbacks"):
                outcome = "LiteLLM takes it for the name of a Python object, and does not start"
            yield Found(path, f'"{word}" is an item of a list: {outcome}')


@rule(
    "error",
    fix="write `os.environ/NAME` as the whole value, e.g. `api_base: os.environ/OLLAMA_API_BASE`",
    source="tried with 1.106.2: the words are taken as they are written",
)
def environment_notation(config: Config) -> Iterator[Found]:
    """A variable in another notation (`${NAME}`, `{{ NAME }}`), within a value, or with a space; what is encrypted."""
    for path, word in config.words:
        if not path or path[0] in _OWN_NOTATION or _is_resolved_later(path):
            continue
        if word.startswith(REFERENCE):
            name = word.removeprefix(REFERENCE)
            if not _NAME.fullmatch(name) and not _may_be_named_so(name, config):
                what = "a space" if any(letter.isspace() for letter in name) else "more than the name of a variable"
                yield Found(path, f"`{REFERENCE}` with {what} behind it: LiteLLM finds no variable of that name")
        elif REFERENCE in word:
            yield Found(path, f"`{REFERENCE}` in the middle of a value: LiteLLM takes it as it is written")
        elif _ENCRYPTED.fullmatch(word):
            yield Found(path, "this is encrypted: LiteLLM takes it as it is written", "decrypt the file first")
        elif _is_other_notation(_key(path), word):
            yield Found(path, "this looks like a variable of the environment: LiteLLM takes it as it is written")


def _may_be_named_so(name: str, config: Config) -> bool:
    """A secret manager's entries have names of any kind; so, rarely, has an environment."""
    managed = config.setting("general_settings", "key_management_system") is not None
    return bool(name) and (managed or name in (config.environment or {}))


def _key(path: Path) -> str:
    """The key of a value, or of the list that it is an item of."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _is_other_notation(key: str, word: str) -> bool:
    if _TEMPLATES.search(key):
        return False
    if _WHOLE.fullmatch(word.strip()) or (_KEYS.search(key) and _NO_KEY.fullmatch(word)):
        return True
    if _ADDRESSES.search(key) and (_TEMPLATE.search(word) or ("://" in word and _BARE.search(word))):
        return True
    return _SHELL.search(word) is not None and "\n" not in word and not _TEXTS.search(key)


@rule(
    "warning",
    fix="set it where LiteLLM runs",
    source="read in 1.106.2: read when LiteLLM is imported, before its configuration; BerriAI/litellm issue 22088",
    versions="by release",
)
def environment_too_late(config: Config) -> Iterator[Found]:
    """`environment_variables` sets one that LiteLLM reads before: it has no effect."""
    for name in config.section("environment_variables"):
        if name in config.known.import_variables:
            message = f"{name} is read when LiteLLM is imported, before this file: it has no effect here"
            yield Found(("environment_variables", name), message)


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
