"""Recipes: everything that the content of an install depends on, one type for each kind of install.

In a plan, `@other@` in a string stands for the folder of install `other`, and `@platform:gpu@` for that fact of the
host. In a request to a host they are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


_NO_CONTENT = "no content"
"""Marks a field that the content of an install does not depend on."""


class _Documented:
    def document(self) -> dict[str, Json]:
        """The form that an install's digest covers: without the kind, without fields that are none by default, and
        without those that the content does not depend on."""
        document: dict[str, Json] = _document(self)
        del document["kind"]
        return document


def _document(value: Any) -> Any:
    if is_dataclass(value):
        given = [(each, getattr(value, each.name)) for each in fields(value) if not each.metadata.get(_NO_CONTENT)]
        return {each.name: _document(item) for each, item in given if item is not None or each.default is not None}
    if isinstance(value, Mapping):
        return {key: _document(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_document(item) for item in value]
    return value


@dataclass(frozen=True)
class BackendCheck:
    """The check of a finished install: llama.cpp's backend `name`, as ggml calls it, must be among the `libraries`, a
    pattern for their folder."""

    name: str
    libraries: str


@dataclass(frozen=True, kw_only=True)
class PythonEnvRecipe(_Documented):
    """An environment of hash-locked packages.

    Attributes:
        requirements: all of them: the host resolves nothing.
        build_requirements: for building source packages; empty = no source package.
        indexes: where packages come from, as uv takes it on its command line.
        environment: variables for the installation.
        check: arguments with which the new Python must run before it counts.
        toolkit: the toolkit for cards that its packages bring; its folder `cuda` is then as compilers expect it.
    """

    kind: Literal["python-env"] = "python-env"
    requirements: str
    build_requirements: str
    indexes: tuple[str, ...]
    environment: Mapping[str, str]
    check: tuple[str, ...]
    backend: BackendCheck | None = None
    toolkit: Literal["cuda"] | None = None


@dataclass(frozen=True, kw_only=True)
class ArchiveSource:
    """A source tree in an archive, by address.

    Attributes:
        subdirectory: folder of the source tree below the archive's single top folder; none = the top folder itself.
    """

    type: Literal["UrlArchive"] = "UrlArchive"
    url: str
    sha256: str
    subdirectory: str | None


@dataclass(frozen=True, kw_only=True)
class SdistSource:
    """A source tree in a Python source distribution, which pip fetches.

    Attributes:
        subdirectory: see `ArchiveSource`.
    """

    type: Literal["PythonSdist"] = "PythonSdist"
    package: str
    version: str
    sha256: str
    subdirectory: str | None


@dataclass(frozen=True, kw_only=True)
class SourceBuildRecipe(_Documented):
    """Programs that are compiled from source.

    Attributes:
        targets: what to build.
        output: folder of the programs, in the build tree and in the install.
        toolkit: the toolkit for cards that it needs.
        toolkit_folder: its folder, with `bin` and `lib64` inside; none = it is searched for on the host.
    """

    kind: Literal["source-build"] = "source-build"
    source: ArchiveSource | SdistSource
    cmake_options: Mapping[str, str]
    targets: tuple[str, ...]
    output: str
    toolkit: str | None = None
    toolkit_folder: str | None = None
    backend: BackendCheck | None = None


@dataclass(frozen=True)
class Archive:
    """An archive to unpack.

    Attributes:
        sha256: none = as in the list of digests beside it.
        strip: number of leading folders to drop; none = 0.
        into: folder of the install that it is unpacked to; none = the install itself.
    """

    url: str
    sha256: str | None
    strip: int | None = None
    into: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseRecipe(_Documented):
    """Programs that others have compiled.

    Attributes:
        archives: they are unpacked over each other.
        check: one of its programs with arguments, which must run before the install counts.
        says: a word that it must print then.
        check_environment: variables for it.
    """

    kind: Literal["release"] = "release"
    archives: tuple[Archive, ...]
    check: tuple[str, ...]
    says: str
    backend: BackendCheck | None = None
    check_environment: Mapping[str, str] = field(default_factory=dict, metadata={_NO_CONTENT: True})


@dataclass(frozen=True, kw_only=True)
class FilesRecipe(_Documented):
    """Text files, by their paths."""

    kind: Literal["files"] = "files"
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ModelRecipe(_Documented):
    """A model's file, by address."""

    kind: Literal["model"] = "model"
    url: str
    sha256: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class SentModelRecipe(_Documented):
    """A model's file that is sent from the control machine."""

    kind: Literal["sent-model"] = "sent-model"
    sha256: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class HubModelRecipe(_Documented):
    """Files of a model's repository on a Hub.

    Attributes:
        files: shell patterns over their paths.
        sha256: digest of the file if it is a single one; none = as the Hub says.
        digests: path → SHA-256 of them and maybe of others, if a lock has them; none = as the Hub says. The commit in
            `revision` is their content already.
        instead: of a whole repository: patterns of files to fetch too if `files` finds no weights; if they find none
            either, it is refused. None = single files, which need not be weights.
    """

    kind: Literal["hub-model"] = "hub-model"
    endpoint: str
    repository: str
    revision: str
    files: tuple[str, ...]
    sha256: str | None
    digests: Mapping[str, str] | None = field(default=None, metadata={_NO_CONTENT: True})
    # Installs of versions without it stay what they are: they have what `files` names.
    instead: tuple[str, ...] | None = field(default=None, metadata={_NO_CONTENT: True})


@dataclass(frozen=True, kw_only=True)
class HostModelRecipe(_Documented):
    """A model that is on the host already. Its install is no more than a record of its files.

    Attributes:
        path: of its file, or its folder.
        files: whole paths of its files; empty = all in the folder.
        sha256: digest of the file if it is a single one; none = as it is when it is first seen.
    """

    kind: Literal["host-model"] = "host-model"
    path: str
    files: tuple[str, ...]
    sha256: str | None


Recipe: TypeAlias = (
    PythonEnvRecipe
    | SourceBuildRecipe
    | ReleaseRecipe
    | FilesRecipe
    | ModelRecipe
    | SentModelRecipe
    | HubModelRecipe
    | HostModelRecipe
)
"""The kind says which it is, and which installer makes it."""
