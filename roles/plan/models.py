"""Models as part of a host plan: each in its own folder, shared by all servers that name the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath

from roles.contract.models import is_hidden
from roles.contract.recipes import HostModelRecipe, HubModelRecipe, ModelRecipe, SentModelRecipe
from roles.contract.requests import HostModel
from roles.options import HostFile, HostFolder, HubFile, HubModel, LocalFile, ModelSource, UrlFile
from roles.plan.installs import Install
from roles.plan.layout import Layout


def model_path(source: ModelSource, layout: Layout) -> str:
    """Path of a model's file on the host, or of its folder, as its server must name it."""
    match source:
        case HostFile() | HostFolder():
            return source.path
        case HubModel():
            return layout.install(model_install(source).name)
        case UrlFile() | LocalFile() | HubFile():
            return f"{layout.install(model_install(source).name)}/{source.filename}"


def host_models(sources: Iterable[ModelSource], layout: Layout, user: str | None = None) -> tuple[HostModel, ...]:
    """The models among those that must be on the host already.

    Args:
        user: the system user that reads them; none = a dynamic one.
    """
    found = []
    for source in sources:
        if isinstance(source, HostFile | HostFolder):
            is_folder = isinstance(source, HostFolder)
            reader = (user or "") if layout.scope == "system" else layout.user
            sees = "".join(shown_paths([source.path])) if layout.scope == "system" else None
            paths = (source.path,) if isinstance(source, HostFolder) else source.files
            found += [HostModel(path=path, folder=is_folder, user=reader, sees=sees) for path in paths]
    return tuple(dict.fromkeys(found))


def shown_paths(paths: Iterable[str]) -> list[str]:
    """What a unit in system scope must be shown of the homes of users, for it to see those paths."""
    return list(dict.fromkeys(_shown_part(path) for path in paths if is_hidden(path)))


def _shown_part(path: str) -> str:
    """A snapshot in the Hub's own cache has links to files beside it."""
    whole = PurePosixPath(path)
    for above in whole.parents:
        if above.name == "snapshots" and above.parent.name.startswith("models--"):
            return str(above.parent)
    return path


def model_install(source: ModelSource) -> Install:
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
            chosen = "files" in source.model_fields_set
            return _from_hub(source, list(source.files), None, instead=() if chosen else _BIN)
        case HostFile():
            name = source.path.rsplit("/", 1)[-1]
            return Install(
                name=_name(name, f"host {source.path} {source.sha256}"),
                title=f"model {source.path}",
                recipe=HostModelRecipe(path=source.path, files=source.files, sha256=source.sha256),
            )
        case HostFolder():
            return Install(
                name=_name(source.filename, f"host {source.path}"),
                title=f"model {source.path}",
                recipe=HostModelRecipe(path=source.path, files=(), sha256=None),
            )


_BIN = ("*.bin",)
"""Weights in PyTorch's older format."""


def _from_hub(
    source: HubFile | HubModel, files: list[str], sha256: str | None, instead: tuple[str, ...] | None = None
) -> Install:
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
            instead=instead,
        ),
        token=source.token,
    )


def _name(shown: str, identity: str) -> str:
    """A name that people recognise, and that two different models never share."""
    return f"model-{shown}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
