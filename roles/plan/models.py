"""Models as part of a host plan: each in its own folder, shared by all servers that name the same one."""

from __future__ import annotations

import hashlib

from roles.contract.recipes import HubModelRecipe, ModelRecipe, SentModelRecipe
from roles.options import GgufSource, HubFile, HubModel, LocalFile, UrlFile
from roles.plan.model import Install


def model_install(source: GgufSource | HubModel) -> Install:
    """The install of a model. Its name comes from its source, so that engines share a model that both serve."""
    match source:
        case UrlFile():
            return Install(
                name=_name(source.filename, source.sha256),
                title=f"model {source.filename}",
                recipe=ModelRecipe(url=source.url, sha256=source.sha256, filename=source.filename),
            )
        case LocalFile():
            return Install(
                name=_name(source.filename, f"sent {source.sha256}"),
                title=f"model {source.filename}",
                recipe=SentModelRecipe(sha256=source.sha256, filename=source.filename),
                sent_from=source.path,
            )
        case HubFile():
            return _from_hub(source, list(source.files), source.sha256)
        case HubModel():
            return _from_hub(source, list(source.files), None)


def _from_hub(source: HubFile | HubModel, files: list[str], sha256: str | None) -> Install:
    shown = f"{source.repository}/{source.file}" if isinstance(source, HubFile) else source.repository
    identity = [source.endpoint, source.repository, source.revision, *files, sha256 or ""]
    return Install(
        name=_name(shown.rsplit("/", 1)[-1], "\n".join(identity)),
        title=f"model {shown}",
        recipe=HubModelRecipe(
            endpoint=source.endpoint,
            repository=source.repository,
            revision=source.revision,
            files=tuple(files),
            sha256=sha256,
        ),
        token=source.token,
    )


def _name(shown: str, identity: str) -> str:
    """A name that people recognise, and that two different models never share."""
    return f"model-{shown}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
