"""Which rules read which section: each section is named here. A test compares them with `roles/lint/keys`."""

from __future__ import annotations

from collections.abc import Mapping

READ_BY: Mapping[str, tuple[str, ...]] = {
    "agent_list": ("entries",),
    "agents": ("entries",),
    "assistant_settings": ("administration",),
    "callback_settings": ("callbacks",),
    "credential_list": ("entries",),
    "default_vertex_config": ("administration", "types"),
    "environment_variables": ("environment", "master_key", "settings", "shapes"),
    "files_settings": ("entries",),
    "finetune_settings": ("entries",),
    "general_settings": (
        "administration",
        "cache",
        "enterprise",
        "entries",
        "environment",
        "keys",
        "master_key",
        "python_files",
        "settings",
        "shapes",
        "types",
    ),
    "guardrails": ("enterprise", "guardrails", "keys", "python_files", "shapes"),
    "include": ("reading", "shapes"),
    "litellm_settings": (
        "administration",
        "cache",
        "callbacks",
        "enterprise",
        "entries",
        "guardrails",
        "keys",
        "mcp",
        "providers",
        "python_files",
        "routing",
        "settings",
        "shapes",
        "types",
        "values",
    ),
    "mcp_servers": ("mcp", "shapes"),
    "mcp_tools": ("entries", "python_files"),
    "model_list": (
        "addresses",
        "entries",
        "environment",
        "keys",
        "limits",
        "providers",
        "routing",
        "settings",
        "shapes",
        "values",
    ),
    "policies": ("entries",),
    "policy_attachments": ("entries",),
    "prompts": ("entries",),
    "router_settings": ("keys", "limits", "routing", "settings", "shapes", "types", "values"),
    "sandbox_tools": ("entries",),
    "search_tools": ("entries",),
    "vector_store_registry": ("entries",),
    "worker_registry": ("enterprise",),
}
"""Section → the modules of this package whose rules look into it."""

NOT_LOOKED_AT: Mapping[str, str] = {}
"""Section → why no rule looks into it."""
