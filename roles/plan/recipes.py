"""Recipes: everything that the content of an install depends on, one type for each kind of install.

In each string `@other@` stands for the folder of install `other`, and `@platform:gpu@` for that fact of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
InstallKind: TypeAlias = Literal["python-env", "source-build", "release", "files", "model", "hub-model", "sent-model"]


@dataclass(frozen=True)
class Recipe:
    """What an installer gets."""

    kind: ClassVar[InstallKind]
    """Which installer makes it."""

    def document(self) -> dict[str, Json]:
        """The form that the installer reads and the digest covers: without fields that are none by default."""
        return _fields(self)


def _fields(value: Any) -> dict[str, Json]:
    given = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: _json(item) for name, (item, default) in given.items() if not (item is None and default is None)}


def _json(value: Any) -> Json:
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_json(item) for item in value]
    plain: Json = value
    return plain


@dataclass(frozen=True)
class BackendCheck:
    """The check of a finished install: llama.cpp's backend `name` must be among the `libraries`, a folder."""

    name: str
    libraries: str


@dataclass(frozen=True)
class PythonEnvRecipe(Recipe):
    """An environment of hash-locked packages.

    Attributes:
        requirements: all of them: the host resolves nothing.
        build_requirements: for building source packages; empty = no source package.
        indexes: where packages come from, as uv takes it on its command line.
        environment: variables for the installation.
        check: arguments with which the new Python must run before it counts.
    """

    kind = "python-env"

    requirements: str
    build_requirements: str
    indexes: tuple[str, ...]
    environment: Mapping[str, str]
    check: tuple[str, ...]
    backend: BackendCheck | None = None


@dataclass(frozen=True)
class SourceBuildRecipe(Recipe):
    """Programs that are compiled from source.

    Attributes:
        source: options of the source tree, with its `type`.
        targets: what to build.
        output: folder of the programs, in the build tree and in the install.
        toolkit: the toolkit for cards that it needs.
    """

    kind = "source-build"

    source: Mapping[str, Json]
    cmake_options: Mapping[str, str]
    targets: tuple[str, ...]
    output: str
    toolkit: str | None = None
    backend: BackendCheck | None = None


@dataclass(frozen=True)
class Archive:
    """An archive to unpack.

    Attributes:
        sha256: none = as in the list of digests beside it.
        strip: number of leading folders to drop.
        into: folder of the install that it is unpacked to.
    """

    url: str
    sha256: str | None
    strip: int | None = None
    into: str | None = None


@dataclass(frozen=True)
class ReleaseRecipe(Recipe):
    """Programs that others have compiled.

    Attributes:
        check: one of its programs with arguments, which must run before the install counts.
        says: what that must print.
    """

    kind = "release"

    archives: tuple[Archive, ...]
    check: tuple[str, ...]
    says: str
    backend: BackendCheck | None = None


@dataclass(frozen=True)
class FilesRecipe(Recipe):
    """Text files, by their paths."""

    kind = "files"

    files: Mapping[str, str]


@dataclass(frozen=True)
class ModelRecipe(Recipe):
    """A model's file, by address."""

    kind = "model"

    url: str
    sha256: str
    filename: str


@dataclass(frozen=True)
class SentModelRecipe(Recipe):
    """A model's file that is sent from the control machine."""

    kind = "sent-model"

    sha256: str
    filename: str


@dataclass(frozen=True)
class HubModelRecipe(Recipe):
    """Files of a model's repository on a Hub.

    Attributes:
        files: shell patterns over their paths.
        sha256: digest of the file if it is a single one; none = as the Hub says.
    """

    kind = "hub-model"

    endpoint: str
    repository: str
    revision: str
    files: tuple[str, ...]
    sha256: str | None
