"""Models as part of a host plan: each in a folder of its own, shared by all that name the same."""

from __future__ import annotations

import hashlib

from roles.options import GgufSource, HubFile, HubModel, LocalFile, UrlFile
from roles.plan.model import Install


def model_install(source: GgufSource | HubModel) -> Install:
    """The install of a model. Its name comes from its source, so that engines which serve the same model share it."""
    match source:
        case UrlFile():
            recipe = {"url": source.url, "sha256": source.sha256, "filename": source.filename}
            return Install(
                kind="model",
                name=_name(source.filename, source.sha256),
                title=f"model {source.filename}",
                recipe={**recipe},
            )
        case LocalFile():
            return Install(
                kind="sent-model",
                name=_name(source.filename, f"sent {source.sha256}"),
                title=f"model {source.filename}",
                recipe={"sha256": source.sha256, "filename": source.filename},
                sent_from=source.path,
            )
        case HubFile():
            return _from_hub(source, [source.file], source.sha256)
        case HubModel():
            return _from_hub(source, list(source.files), None)


def _from_hub(source: HubFile | HubModel, files: list[str], sha256: str | None) -> Install:
    shown = f"{source.repository}/{source.file}" if isinstance(source, HubFile) else source.repository
    identity = [source.endpoint, source.repository, source.revision, *files, sha256 or ""]
    return Install(
        kind="hub-model",
        name=_name(shown.rsplit("/", 1)[-1], "\n".join(identity)),
        title=f"model {shown}",
        recipe={
            "endpoint": source.endpoint,
            "repository": source.repository,
            "revision": source.revision,
            "files": [*files],
            "sha256": sha256,
        },
        token=source.token,
    )


def _name(shown: str, identity: str) -> str:
    """A name that a person recognises, and that two different models never share."""
    return f"model-{shown}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
