"""Which rules read which section: each section is named here. A test compares them with `roles/lint/keys`."""

from __future__ import annotations

from collections.abc import Mapping

READ_BY: Mapping[str, tuple[str, ...]] = {
    "agent_list": ("entries",),
    "agents": ("entries",),
    "assistant_settings": ("administration",),
    "callback_settings": ("callbacks",),
    "credential_list": ("entries",),
    "default_vertex_config": ("administration",),
    "environment_variables": ("environment", "shapes"),
    "files_settings": ("entries",),
    "finetune_settings": ("entries",),
    "general_settings": ("administration", "enterprise", "environment", "keys", "master_key", "settings", "shapes"),
    "guardrails": ("guardrails", "python_files"),
    "include": ("reading", "shapes"),
    "litellm_settings": ("cache", "callbacks", "keys", "routing", "settings", "shapes", "values"),
    "mcp_servers": ("mcp", "shapes"),
    "mcp_tools": ("entries", "python_files"),
    "model_list": ("addresses", "keys", "limits", "providers", "routing", "shapes", "values"),
    "policies": ("entries",),
    "policy_attachments": ("entries",),
    "prompts": ("entries",),
    "router_settings": ("keys", "routing", "shapes", "values"),
    "sandbox_tools": ("entries",),
    "search_tools": ("entries",),
    "vector_store_registry": ("entries",),
    "worker_registry": ("enterprise",),
}
"""Section → the modules of this package whose rules look into it."""

NOT_LOOKED_AT: Mapping[str, str] = {}
"""Section → why no rule looks into it."""
