"""A LiteLLM configuration as the rules see it. It accepts every shape, so that one mistake does not hide another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeGuard
from urllib.parse import SplitResult, urlsplit

from roles.lint.document import Document, Path, mapping
from roles.lint.known import Known, Version

FALLBACK_KINDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
REFERENCE = "os.environ/"

_ABOUT_VARIABLES = re.compile(r"[$%{@[(<]|__|(?<!http)(?<!https)://|env|vault:|arn:|ref\+", re.IGNORECASE)
_REPLICATE_ID = 64


@dataclass(slots=True, eq=False)
class Model:
    """A well-shaped entry of `model_list`: one deployment. What many rules ask for is found once.

    Attributes:
        model: as it is written.
        mode: what it declares; `` if nothing.
        base_key: `api_base`, or its other name.
        base: the address, if it is known: it stands in the file, or in the environment that is given.
        address: parts of the address; None if it has no scheme or is not in the file.
        provider: the one that LiteLLM finds; `` = it finds one by the model's name; None = none.
    """

    name: str
    params: Mapping[str, Any]
    info: Mapping[str, Any]
    path: Path
    model: str
    mode: str
    base_key: str
    base: str | None
    address: SplitResult | None
    provider: str | None = None

    @property
    def title(self) -> str:
        """For messages."""
        return f'model "{self.name}"'

    def parameter(self, key: str) -> Path:
        """The path of one of its `litellm_params`."""
        return (*self.path, "litellm_params", key)

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings: it says so, or is named so and says nothing."""
        name = f"{self.name} {self.model}".lower()
        return self.mode == "embedding" or (
            not self.mode and ("embed" in name or ("bge-" in name and "rank" not in name))
        )

    @property
    def reranks(self) -> bool:
        """The same for reranking."""
        return self.mode == "rerank" or (not self.mode and "rerank" in f"{self.name} {self.model}".lower())

    @property
    def context(self) -> int | None:
        """The declared size of its context window, in tokens."""
        size = self.info.get("max_input_tokens")
        return size if isinstance(size, int) and not isinstance(size, bool) else None

    @property
    def has_credential(self) -> bool:
        """Whether key and address come from `credential_list` or the database."""
        return "litellm_credential_name" in self.params


def _parts_of(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def is_reference(value: object) -> TypeGuard[str]:
    """Whether a value is `os.environ/NAME`."""
    return isinstance(value, str) and value.startswith(REFERENCE)


def resolved(value: Any, environment: Mapping[str, str] | None) -> Any:
    """A value with `os.environ/NAME` replaced, if the environment is known and has it."""
    if environment and is_reference(value):
        return environment.get(value.removeprefix(REFERENCE), value)
    return value


@dataclass(frozen=True)
class Chain:
    """One entry of a fallback list: when `source` fails, `targets` are tried. `path` is that of the source's key."""

    kind: str
    section: str
    source: str
    targets: Sequence[tuple[str, Path]]
    path: Path


@dataclass(eq=False)
class Config:
    """One configuration.

    Attributes:
        environment: variable → value of the proxy's process; None = not known. Values are never shown.
        memory: what several rules need and one of them found.
        peers: the other configurations of the same run: proxies on the same host.
    """

    document: Document
    version: Version
    version_text: str
    known: Known
    environment: Mapping[str, str] | None
    memory: dict[str, Any] = field(default_factory=dict)
    peers: list[Config] = field(default_factory=list)

    def section(self, name: str) -> Mapping[Any, Any]:
        """A section of the file; empty if it is missing or has a wrong shape."""
        return mapping(self.document.value.get(name))

    def setting(self, section: str, key: str) -> Any:
        return self.section(section).get(key)

    def value_at(self, path: Path) -> Any:
        """The value at a path; None if there is none."""
        value: Any = self.document.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def resolved_at(self, path: Path) -> Any:
        """The same, with a reference resolved where the environment is known. Not for messages."""
        return resolved(self.value_at(path), self.environment)

    def variable_is_set(self, name: str) -> bool:
        """Whether the process is known to have a variable."""
        return bool(self.environment and self.environment.get(name))

    def variable_is_given(self, name: str) -> bool:
        """The same, or the file sets it itself: in time for what LiteLLM looks up at a request."""
        return self.variable_is_set(name) or bool(self.section("environment_variables").get(name))

    @cached_property
    def words(self) -> Sequence[tuple[Path, str]]:
        """Every string of the document that may be about a variable, with its path."""
        return list(_words_about_variables(self.document.value))

    @property
    def is_in_database(self) -> bool:
        """Whether the database may hold more models, credentials and MCP servers."""
        return self.setting("general_settings", "store_model_in_db") is True

    @property
    def is_complete(self) -> bool:
        """Whether the file lists all models: none in a file that was not read, none in the database."""
        return bool(self.models) and not self.document.unread and not self.is_in_database

    @cached_property
    def models(self) -> Sequence[Model]:
        entries = self.document.value.get("model_list")
        found = []
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            name, params = mapping(entry).get("model_name"), mapping(mapping(entry).get("litellm_params"))
            if isinstance(name, str) and isinstance(params.get("model"), str):
                model = self._model(name, params, mapping(entry.get("model_info")), ("model_list", index))
                model.provider = self._find_provider(model)
                found.append(model)
        return found

    def _model(self, name: str, params: Mapping[str, Any], info: Mapping[str, Any], path: Path) -> Model:
        mode = info.get("mode")
        base_key = "base_url" if "base_url" in params and "api_base" not in params else "api_base"
        base = resolved(params.get(base_key), self.environment)
        if not isinstance(base, str) or base.startswith(REFERENCE):
            base = None
        address = _parts_of(base) if base else None
        return Model(
            name, params, info, path, params["model"], mode if isinstance(mode, str) else "", base_key, base, address
        )

    @cached_property
    def groups(self) -> Mapping[str, Sequence[Model]]:
        """Public name → its deployments."""
        groups = defaultdict(list)
        for model in self.models:
            groups[model.name].append(model)
        return dict(groups)

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Alias → the name that it stands for."""
        found = {}
        for alias, value in mapping(self.setting("router_settings", "model_group_alias")).items():
            target = value.get("model") if isinstance(value, dict) else value
            if isinstance(alias, str) and isinstance(target, str):
                found[alias] = target
        return found

    @cached_property
    def public_names(self) -> frozenset[str]:
        """Names that a client can request."""
        groups = self.setting("router_settings", "routing_groups")
        routing_groups = [mapping(group).get("group_name") for group in groups] if isinstance(groups, list) else []
        team_names = [model.info.get("team_public_model_name") for model in self.models]
        words = (word for word in (*routing_groups, *team_names) if isinstance(word, str))
        return frozenset((*self.groups, *self.aliases, *words))

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids that deployments declare."""
        return frozenset(str(model.info["id"]) for model in self.models if "id" in model.info)

    def serves(self, name: str) -> bool:
        """Whether a name is served: by a model, an alias, a deployment's id, or a pattern such as `openai/*`."""
        return (
            name in self.public_names
            or name in self.ids
            or any(name[:length] in self._beginnings for length in range(len(name) + 1))
            or any(_matches(name, pattern) for pattern in self._patterns)
        )

    @cached_property
    def bare_names(self) -> frozenset[str]:
        """Public names without what stands before their first slash."""
        return frozenset(name.partition("/")[2] for name in self.public_names)

    @property
    def has_patterns(self) -> bool:
        """Whether a name is a pattern such as `openai/*`."""
        return bool(self._beginnings or self._patterns)

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        """The patterns with one `*` at their end, without it."""
        return frozenset(name[:-1] for name in self.groups if name.find("*") == len(name) - 1)

    @cached_property
    def _patterns(self) -> Sequence[Sequence[str]]:
        """What stands between the `*` of the other patterns."""
        return [name.split("*") for name in self.groups if "*" in name[:-1]]

    @cached_property
    def chains(self) -> Sequence[Chain]:
        """Every well-shaped entry of every list of fallbacks."""
        return list(self._read_chains())

    def _read_chains(self) -> Iterator[Chain]:
        for section in ("router_settings", "litellm_settings"):
            for kind in FALLBACK_KINDS:
                entries = self.setting(section, kind)
                for index, entry in enumerate(entries if isinstance(entries, list) else ()):
                    for source, targets in mapping(entry).items():
                        path = (section, kind, index, source)
                        if isinstance(source, str) and isinstance(targets, list):
                            yield Chain(kind, section, source, list(_targets(targets, path)), path)

    @cached_property
    def default_fallbacks(self) -> Sequence[tuple[str, Path]]:
        """The fallbacks of every model that has no entry of its own."""
        found = [target for chain in self.chains if chain.source == "*" for target in chain.targets]
        for section in ("router_settings", "litellm_settings"):
            targets = self.setting(section, "default_fallbacks")
            found += _targets(targets if isinstance(targets, list) else [], (section, "default_fallbacks"))
        return found

    def _find_provider(self, model: Model) -> str | None:
        """Source: litellm_core_utils/get_llm_provider_logic.py."""
        given = model.params.get("custom_llm_provider")
        name = str(resolved(model.model, self.environment))
        prefix, slash, _ = name.partition("/")
        if isinstance(given, str):
            return given if given in self._providers else None
        if slash and prefix in self._providers:
            return prefix
        if name in self._providers or self._is_known_model(name) or self._is_hosted(model):
            return ""
        return None

    @cached_property
    def _providers(self) -> frozenset[str]:
        custom = self.setting("litellm_settings", "custom_provider_map")
        own = [mapping(entry).get("provider") for entry in custom] if isinstance(custom, list) else []
        return self.known.providers | {provider for provider in own if isinstance(provider, str)}

    def _is_known_model(self, name: str) -> bool:
        return (
            name == "*"
            or name.startswith((REFERENCE, "gpt-image", "amazon_nova"))
            or "ft:gpt-" in name
            or name in self.known.model_names
            or len(name.partition(":")[2]) == _REPLICATE_ID
            or any(re.search(pattern, name, re.IGNORECASE) for pattern in self.known.model_patterns)
        )

    def _is_hosted(self, model: Model) -> bool:
        address = model.address
        if address is None:
            return False
        where = f"{_hostname(address)}{address.path.rstrip('/')}"
        endpoints = (endpoint.partition("://")[2] or endpoint for endpoint in self.known.endpoints)
        return any(f"{where}/".startswith(f"{endpoint.rstrip('/')}/") for endpoint in endpoints)


def _words_about_variables(document: object) -> Iterator[tuple[Path, str]]:
    """Each word is looked at once: large files repeat most of theirs."""
    others: set[str] = set()
    pending: list[tuple[Path, Any]] = [((), document)]
    while pending:
        path, value = pending.pop()
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, dict | list):
                pending.append(((*path, key), inner))
            elif isinstance(inner, str) and inner not in others:
                if _ABOUT_VARIABLES.search(inner):
                    yield (*path, key), inner
                else:
                    others.add(inner)


def _matches(name: str, pattern: Sequence[str]) -> bool:
    """Whether a name has the parts of a pattern in their order. A regular expression may need exponential time."""
    first, *middle, last = pattern
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _hostname(address: SplitResult) -> str:
    try:
        return address.hostname or ""
    except ValueError:
        return ""


def _targets(entries: Sequence[object], path: Path) -> Iterator[tuple[str, Path]]:
    for index, entry in enumerate(entries):
        target = entry.get("model") if isinstance(entry, dict) else entry
        if isinstance(target, str):
            yield target, (*path, index)
