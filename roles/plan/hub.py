"""Models from a Hub as part of a host plan."""

from __future__ import annotations

from roles.plan.model import Install
from roles.spec import HubFile, HubModel


def hub_install(name: str, source: HubFile | HubModel) -> Install:
    """The wanted files of one commit, in a folder of their own."""
    shown = f"{source.repository}/{source.file}" if isinstance(source, HubFile) else source.repository
    return Install(
        kind="hub-model",
        name=name,
        title=f"model {shown}",
        recipe={
            "endpoint": source.endpoint,
            "repository": source.repository,
            "revision": source.revision,
            "files": [source.file] if isinstance(source, HubFile) else list(source.files),
            "sha256": source.sha256 if isinstance(source, HubFile) else None,
        },
        token=source.token,
    )
