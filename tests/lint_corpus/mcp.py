"""Entries of `mcp_servers`, `mcp_tools`, agents and search tools."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_URL = 'url: "http://127.0.0.1:9/mcp"'
_NO_TOOLS = "its tools are not there"


def _server(params: str, name: str = "s") -> str:
    return f"mcp_servers: {{{name}: {{{params}}}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "http": _server(f"{_URL}, transport: http"),
    "sse": _server(f"{_URL}, transport: sse"),
    "default": _server(_URL),
    "word": "mcp_servers: s\n",
    "nothing": "mcp_servers:\n",
    "list": f"mcp_servers: [{{{_URL}}}]\n",
    "server-word": 'mcp_servers: {s: "http://127.0.0.1:9/mcp"}\n',
    "server-nothing": "mcp_servers: {s: }\n",
    "name-number": _server(_URL, name="5"),
    "name-space": _server(_URL, name="my server"),
    "name-dot": _server(_URL, name="my.server"),
    "name-hyphen": _server(_URL, name="git-hub"),
    "alias-hyphen": _server(f"{_URL}, alias: git-hub"),
    "transport-unknown": _server(f"{_URL}, transport: websocket"),
    "transport-streamable": _server(f"{_URL}, transport: streamable-http"),
    "transport-upper-case": _server(f"{_URL}, transport: HTTP"),
    "transport-nothing": _server(f"{_URL}, transport: "),
    "transport-number": _server(f"{_URL}, transport: 1"),
    "auth-none": _server(f"{_URL}, auth_type: none"),
    "auth-bearer": _server(f"{_URL}, auth_type: bearer_token, auth_value: k"),
    "auth-bearer-without-value": Entry(_server(f"{_URL}, auth_type: bearer_token"), breaks=_NO_TOOLS),
    "auth-unknown": _server(f"{_URL}, auth_type: bearer, auth_value: k"),
    "auth-list": _server(f"{_URL}, auth_type: [none]"),
    "auth-value-number": _server(f"{_URL}, auth_type: api_key, auth_value: 5"),
    "oauth": _server(
        f"{_URL}, auth_type: oauth2, oauth2_flow: client_credentials, client_id: c, client_secret: k, "
        'token_url: "http://127.0.0.1:9/token"'
    ),
    "oauth-without-flow": _server(f"{_URL}, auth_type: oauth2, client_id: c, client_secret: k"),
    "stdio": Entry(
        _server("transport: stdio, command: echo, args: [a]"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "stdio-args-word": Entry(
        _server("transport: stdio, command: echo, args: a"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "stdio-args-number": Entry(
        _server("transport: stdio, command: echo, args: [1]"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "stdio-env-list": Entry(
        _server("transport: stdio, command: echo, env: [A=b]"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "stdio-env-number": Entry(
        _server("transport: stdio, command: echo, env: {A: 1}"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "stdio-command-list": Entry(
        _server("transport: stdio, command: [echo, a]"), environment={"LITELLM_ENABLE_MCP_STDIO": "true"}
    ),
    "command-without-transport": Entry(_server("command: echo, args: [a]"), breaks=_NO_TOOLS),
    "url-missing": Entry(_server("transport: http"), breaks=_NO_TOOLS),
    "url-number": _server("url: 8080"),
    "url-list": _server('url: ["http://127.0.0.1:9"]'),
    "url-without-scheme": Entry(_server("url: 127.0.0.1:9/mcp"), breaks=_NO_TOOLS),
    "url-reference": Entry(_server("url: os.environ/MCP_URL"), environment={"MCP_URL": "http://127.0.0.1:9/mcp"}),
    "headers-list": _server(f"{_URL}, static_headers: [a]"),
    "headers-numbers": _server(f"{_URL}, static_headers: {{A: 1}}"),
    "headers-unknown-key": _server(f"{_URL}, headers: {{A: b}}"),
    "extra-headers-mapping": _server(f"{_URL}, extra_headers: {{A: b}}"),
    "extra-headers": _server(f"{_URL}, extra_headers: [A]"),
    "allowed-tools": _server(f"{_URL}, allowed_tools: [a]"),
    "allowed-tools-word": _server(f"{_URL}, allowed_tools: a"),
    "access-groups": _server(f"{_URL}, access_groups: [a]"),
    "access-groups-word": _server(f"{_URL}, access_groups: a"),
    "timeout-word": _server(f"{_URL}, timeout: long"),
    "timeout": _server(f"{_URL}, timeout: 5"),
    "description-number": _server(f"{_URL}, description: 5"),
    "unknown-key": _server(f"{_URL}, zebra: 5"),
    "in-litellm-settings": Entry(f"litellm_settings: {{mcp_servers: {{s: {{{_URL}}}}}}}\n", breaks="it is not read"),
    "in-general-settings": Entry(
        f"general_settings: {{master_key: os.environ/LITELLM_MASTER_KEY, mcp_servers: {{s: {{{_URL}}}}}}}\n",
        breaks="it is not read",
    ),
    "camel-case": Entry(f"mcpServers: {{s: {{{_URL}}}}}\n", breaks="it is not read"),
    "spec": _server('url: "http://127.0.0.1:9", spec_path: ./none.json'),
    "aliases": f"litellm_settings: {{mcp_aliases: {{a: s}}}}\n{_server(_URL)}",
    "aliases-list": f"litellm_settings: {{mcp_aliases: [a]}}\n{_server(_URL)}",
    "aliases-missing": Entry(f"litellm_settings: {{mcp_aliases: {{a: z}}}}\n{_server(_URL)}", breaks="ignored"),
    "tools-mapping": "mcp_tools: {t: {}}\n",
    "tools-without-handler": Entry("mcp_tools: [{name: t, description: d}]\n", breaks="it is left out"),
    "tools-file-missing": "mcp_tools: [{name: t, description: d, handler: own.tool, input_schema: {type: object}}]\n",
    "tools": Entry(
        "mcp_tools: [{name: t, description: d, handler: own.tool, input_schema: {type: object, properties: {}}}]\n",
        files={"own.py": "def tool():\n    return 1\n"},
    ),
    "search-provider-unknown": Entry(
        "search_tools: [{search_tool_name: s, litellm_params: {search_provider: zebra, api_key: k}}]\n",
        breaks="each search fails",
    ),
    "agents": (
        "agents: [{agent_name: a, agent_card_params: "
        "{name: a, description: d, url: http://127.0.0.1:9, version: '1'}}]\n"
    ),
    "agents-word": "agents: [a]\n",
}
