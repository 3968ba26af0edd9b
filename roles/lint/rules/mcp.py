"""Rules about MCP servers. One mistake in one server stops the start of the whole proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as File
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from roles.lint.config import Config, is_reference
from roles.lint.document import Path, mapping
from roles.lint.nearest import choose, did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind, reads_as_number
from roles.lint.section_facts import facts_of

_STOPS = "LiteLLM does not start"
_FLOWS = ("authorization_code", "client_credentials")
_NEED_A_CREDENTIAL = ("api_key", "bearer_token", "basic", "authorization", "token")
_STDIO_VARIABLE = "LITELLM_ENABLE_MCP_STDIO"

_OF_WORDS = frozenset(
    {"args", "env", "static_headers", "extra_headers", "allowed_tools", "disallowed_tools", "access_groups"}
)

_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "list": (list, "a list"),
    "mapping": (dict, "a mapping"),
    "word": (str, "a word"),
    "number": ((int, float), "a number"),
}


class _Server(NamedTuple):
    name: str
    params: Mapping[Any, Any]
    path: Path

    @property
    def title(self) -> str:
        return f'MCP server "{self.name}"'


def _servers(config: Config) -> Iterator[_Server]:
    for name, params in config.section("mcp_servers").items():
        if isinstance(params, dict):
            yield _Server(str(name), params, ("mcp_servers", name))


@rule("error", fix="write `NAME: {url: …, transport: http}`", source="tried with 1.84.0 and 1.106.2")
def mcp_server_shape(config: Config) -> Iterator[Found]:
    """An entry of `mcp_servers` is no mapping, or its name is one that LiteLLM refuses."""
    for name, params in config.section("mcp_servers").items():
        path: Path = ("mcp_servers", name)
        if not isinstance(name, str):
            yield Found(path, f"a name in `mcp_servers` must be a word, not {kind(name)}: {_STOPS}", "put it in quotes")
        elif "-" in name:
            fix = f'write "{name.replace("-", "_")}"'
            yield Found(path, f'the name "{name}" of an MCP server must not have a "-": {_STOPS}', fix)
        if not isinstance(params, dict):
            yield Found(path, f'MCP server "{name}" must be a mapping, not {kind(params)}: {_STOPS}')


@rule("error", fix="write a setting below it, or remove it", source="tried with 1.84.0 and 1.106.2: AttributeError")
def mcp_without_settings(config: Config) -> Iterator[Found]:
    """`mcp_servers`, and a `litellm_settings:` with nothing below it."""
    document = config.document.value
    if document.get("mcp_servers") and "litellm_settings" in document and document["litellm_settings"] is None:
        yield Found(("litellm_settings",), f"`litellm_settings` is empty, and there are `mcp_servers`: {_STOPS}")


@rule(
    "error",
    fix="write a value that LiteLLM takes",
    source="tried with 1.84.0 and 1.106.2: MCPServer does not validate",
    versions="by release",
)
def mcp_server_value(config: Config) -> Iterator[Found]:
    """A value of an MCP server that stops the start: transport, kind of authentication, type of a value."""
    facts = facts_of(config.version_text)
    for server in _servers(config):
        for key, words in (("transport", facts.mcp_transports), ("auth_type", facts.mcp_auth_types)):
            value = server.params.get(key)
            if key in server.params and value not in words and not is_reference(value):
                if value is None and key == "auth_type":
                    continue
                shown = f'"{value}"' if isinstance(value, str) else kind(value)
                yield Found(
                    (*server.path, key), f"{server.title}: {shown} is no `{key}`: {_STOPS}", _word(value, words)
                )
        for key, value in server.params.items():
            wanted = _KINDS.get(facts.mcp_keys.get(str(key), ""))
            if key in ("transport", "auth_type") or wanted is None or value is None or is_reference(value):
                continue
            if isinstance(value, bool) or not isinstance(value, wanted[0]):
                if wanted[1] == "a number" and reads_as_number(value):
                    continue
                message = f"{server.title}: `{key}` must be {wanted[1]}, not {kind(value)}: {_STOPS}"
                yield Found((*server.path, key), message)
            elif key in _OF_WORDS:
                yield from _no_words(server, key, value)


def _no_words(server: _Server, key: str, value: Any) -> Iterator[Found]:
    """The parts of a list or a mapping that must be words: `env: {PORT: 8080}`."""
    for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(inner, str):
            message = f"{server.title}: each value of `{key}` must be a word, not {kind(inner)}: {_STOPS}"
            yield Found((*server.path, key, part), message, "put it in quotes")


def _word(value: object, words: Sequence[str]) -> str:
    """The fix for a word. `streamable_http` is what others call `http`."""
    if isinstance(value, str) and "http" in value.lower() and "http" in words:
        return 'write "http"'
    return choose(value, words)


@rule(
    "error",
    fix="write `oauth2_flow: client_credentials` or `authorization_code`",
    source="tried with 1.106.2: Invalid config for MCP server",
    versions="1.84.0 takes it",
)
def mcp_oauth(config: Config) -> Iterator[Found]:
    """`auth_type: oauth2` without a flow, or a flag of OAuth that does not fit."""
    if "per_server_oauth_discovery" not in facts_of(config.version_text).mcp_keys:
        return  # a release that does not look
    for server in _servers(config):
        flow, auth = server.params.get("oauth2_flow"), server.params.get("auth_type")
        if auth == "oauth2" and flow not in _FLOWS and not is_reference(flow):
            where = (*server.path, "oauth2_flow" if "oauth2_flow" in server.params else "auth_type")
            yield Found(where, f"{server.title}: `auth_type: oauth2` needs an `oauth2_flow`: {_STOPS}")
        if server.params.get("dcr_bridge") and auth not in ("true_passthrough", "oauth_delegate"):
            message = f"{server.title}: `dcr_bridge` goes with true_passthrough or oauth_delegate alone: {_STOPS}"
            yield Found((*server.path, "dcr_bridge"), message, "remove it")


@rule("error", fix="give each server an id of its own", source="tried with 1.106.2", versions="1.84.0 reads no id")
def mcp_server_id(config: Config) -> Iterator[Found]:
    """`server_id` of an MCP server is no word, or that of another one."""
    if "server_id" not in facts_of(config.version_text).mcp_keys:
        return
    seen: dict[str, str] = {}
    for server in _servers(config):
        given = server.params.get("server_id")
        path = (*server.path, "server_id")
        if given is None or is_reference(given):
            continue
        if not isinstance(given, str) or not given.strip():
            yield Found(path, f"{server.title}: `server_id` must be a word: {_STOPS}", "put it in quotes")
        elif given.strip() in seen:
            yield Found(path, f'{server.title} has the `server_id` of "{seen[given.strip()]}": {_STOPS}')
        else:
            seen[given.strip()] = server.name


@rule(
    "error",
    fix="write its address, or its `command` with `transport: stdio`",
    source="tried with 1.84.0 and 1.106.2: it starts, and the server has no tools",
)
def mcp_server_unreachable(config: Config) -> Iterator[Found]:
    """An MCP server without an address, or with one that is none: it has no tools."""
    for server in _servers(config):
        if server.params.get("transport", "http") == "stdio":
            if not server.params.get("command"):
                yield Found(server.path, f"{server.title} has no `command`: its tools are not there", "write `command`")
            continue
        url = server.params.get("url")
        if server.params.get("spec_path") or is_reference(url) or (url is not None and not isinstance(url, str)):
            continue
        if not url:
            fix = "write `transport: stdio` beside `command`" if server.params.get("command") else ""
            yield Found(server.path, f"{server.title} has no `url`: its tools are not there", fix)
        elif not _is_address(url):
            message = f"{server.title}: `url` does not begin with http:// or https://: its tools are not there"
            yield Found((*server.path, "url"), message, "write the whole address")


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https") or "${" in url
    except ValueError:
        return False


@rule(
    "error",
    fix="write `auth_value: os.environ/NAME`",
    source='tried with 1.106.2: "requires a usable upstream credential"',
)
def mcp_credential_missing(config: Config) -> Iterator[Found]:
    """An MCP server with a key as its authentication, and no key."""
    for server in _servers(config):
        auth = server.params.get("auth_type")
        given = server.params.get("auth_value") or server.params.get("authentication_token")
        own = {"extra_headers", "static_headers", "is_byok"} & set(server.params)
        if auth in _NEED_A_CREDENTIAL and not given and not own:
            message = f"{server.title}: `auth_type: {auth}` without `auth_value`: its tools are not there"
            yield Found((*server.path, "auth_type"), message)


@rule(
    "warning",
    fix=f"set {_STDIO_VARIABLE}=true where LiteLLM runs",
    source="tried with 1.106.2 (stdio_gate.py): the file cannot set it",
    versions="1.84.0 starts it",
)
def mcp_stdio_off(config: Config) -> Iterator[Found]:
    """An MCP server over stdio, which LiteLLM starts only where a variable allows it."""
    if "per_server_oauth_discovery" not in facts_of(config.version_text).mcp_keys:
        return
    if (config.environment or {}).get(_STDIO_VARIABLE, "").strip().lower() == "true":
        return
    unless = "" if config.environment is not None else f" unless {_STDIO_VARIABLE} is set"
    for server in _servers(config):
        if server.params.get("transport") == "stdio":
            yield Found((*server.path, "transport"), f"{server.title}: LiteLLM does not run its command{unless}")


@rule(
    "warning",
    fix="remove it",
    source="tried with 1.106.2: it is not read",
    versions="by release",
)
def mcp_unknown_key(config: Config) -> Iterator[Found]:
    """A key of an MCP server that LiteLLM does not read."""
    known = facts_of(config.version_text).mcp_keys
    for server in _servers(config):
        for key in server.params:
            if str(key) not in known and str(key) not in _DESCRIPTIVE:
                fix = did_you_mean("static_headers" if key == "headers" else nearest(str(key), known, part=True))
                yield Found((*server.path, key), f'{server.title}: LiteLLM reads no such key as "{key}"', fix)


_DESCRIPTIVE = frozenset({"server_name", "description", "spec_version"})
"""Keys that the documentation has, and that no code reads: they hurt nobody."""


@rule(
    "warning",
    fix="name a file by its whole path",
    source="tried with 1.106.2: FileNotFoundError at start; the path counts from the folder that LiteLLM runs in",
)
def mcp_spec_missing(config: Config) -> Iterator[Found]:
    """`spec_path` of an MCP server names a file that is not there."""
    for server in _servers(config):
        spec = server.params.get("spec_path")
        if isinstance(spec, str) and not is_reference(spec) and "://" not in spec and not _is_file(config, spec):
            message = f"{server.title}: there is no {spec} beside this file: unless it is where LiteLLM runs, {_STOPS}"
            yield Found((*server.path, "spec_path"), message)


def _is_file(config: Config, name: str) -> bool:
    try:
        return (File(config.document.file).parent / name).is_file()
    except (OSError, ValueError):
        return False


@rule("error", fix="write `mcp_aliases: {ALIAS: SERVER}`", source="tried with 1.106.2")
def mcp_aliases(config: Config) -> Iterator[Found]:
    """`mcp_aliases` is no mapping, or names a server that is not in `mcp_servers`."""
    servers, path = config.section("mcp_servers"), ("litellm_settings", "mcp_aliases")
    aliases = config.setting(*path)
    if aliases and not isinstance(aliases, dict):
        outcome = f": {_STOPS}" if servers else ""
        yield Found(path, f"`mcp_aliases` must be a mapping, not {kind(aliases)}{outcome}")
    elif servers and not config.document.unread and not config.is_in_database:
        names = [str(name) for name in servers]
        for alias, target in mapping(aliases).items():
            if str(target) not in names:
                fix = did_you_mean(nearest(str(target), names, part=True))
                message = f'the alias "{alias}" is for a server that is not in `mcp_servers`: LiteLLM ignores it'
                yield Found((*path, alias), message, fix)
