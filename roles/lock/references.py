"""What a host plan refers to, by the names that its lock has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from roles.contract.recipes import (
    ArchiveSource,
    HubModelRecipe,
    ModelRecipe,
    PythonEnvRecipe,
    ReleaseRecipe,
    SdistSource,
    SentModelRecipe,
    SourceBuildRecipe,
)
from roles.options import GivenSecret, OptionsError
from roles.plan import HostPlan, HubReference, Install, PulledModel

DEFAULT_HUB = "https://huggingface.co"
_COMMIT = re.compile("[0-9a-f]{40}")
_SHOWN = 12
"""Digits of a digest in a name."""


@dataclass(frozen=True)
class Reference:
    """One thing that a plan refers to.

    Attributes:
        section: of the lock.
        key: its name there.
    """

    section: ClassVar[str]

    key: str

    @property
    def moves(self) -> bool:
        """Whether it may mean something else tomorrow."""
        return False

    @property
    def names(self) -> frozenset[str]:
        """The names by which `upgrade=` finds it."""
        return frozenset({self.key})


@dataclass(frozen=True)
class Revision(Reference):
    """A revision of a model repository.

    Attributes:
        recipes: what is wanted of it.
        token: what reading it needs.
    """

    section = "hub"

    of: HubReference
    recipes: tuple[HubModelRecipe, ...]
    token: GivenSecret | None

    @property
    def patterns(self) -> tuple[str, ...]:
        """The shell patterns of the wanted files."""
        return tuple(sorted({pattern for recipe in self.recipes for pattern in recipe.files}))

    @property
    def sha256(self) -> dict[str, str]:
        """Path of a file → the digest that the inventory gives it."""
        return {recipe.files[0]: recipe.sha256 for recipe in self.recipes if recipe.sha256}

    @property
    def moves(self) -> bool:
        return not _COMMIT.fullmatch(self.of.revision)

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.key, self.of.repository, f"{self.of.repository}@{self.of.revision}"})


@dataclass(frozen=True)
class Pulled(Reference):
    """A model that a server pulls from a registry."""

    section = "registry"

    model: PulledModel

    @property
    def moves(self) -> bool:
        return self.model.digest is None


@dataclass(frozen=True)
class Address(Reference):
    """A file with an address. `sha256`: none = as in the list of digests beside it; `model`: it is a GGUF file."""

    section = "addresses"

    url: str
    sha256: str | None
    model: bool = False

    @property
    def moves(self) -> bool:
        return self.sha256 is None

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.key, self.key.rsplit("/", 1)[-1]})


@dataclass(frozen=True)
class Sent(Reference):
    """A file of the control machine."""

    section = "sent"

    path: str
    sha256: str


@dataclass(frozen=True)
class Sdist(Reference):
    """A Python source distribution."""

    section = "sources"

    sha256: str


@dataclass(frozen=True)
class PythonSet(Reference):
    """A Python environment. `of`: its package and version; the others are digests of its lock files."""

    section = "python"

    of: str
    requirements: str
    build_requirements: str | None


def references_of(plan: HostPlan) -> tuple[Reference, ...]:
    """What it refers to, each once."""
    found = [reference for install in plan.installs for reference in references_of_install(install)]
    return merged([*found, *(Pulled(model.name, model) for model in plan.pulled)])


def merged(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Each once: files of one revision of a repository together.

    Raises:
        OptionsError: two different things have one name.
    """
    found: dict[tuple[str, str], Reference] = {}
    for reference in references:
        place = (reference.section, reference.key)
        known = found.setdefault(place, reference)
        if isinstance(known, Revision) and isinstance(reference, Revision):
            found[place] = replace(
                known,
                recipes=tuple(dict.fromkeys([*known.recipes, *reference.recipes])),
                token=known.token or reference.token,
            )
        elif known != reference:
            raise OptionsError(
                f'a lock has one entry for "{reference.key}", and these are two things: give one of them another '
                "`name`, or put its host into another inventory"
            )
    return tuple(found[place] for place in sorted(found))


def references_of_install(install: Install) -> list[Reference]:
    match install.recipe:
        case HubModelRecipe(endpoint=endpoint, repository=repository, revision=revision) as recipe:
            shown = repository if endpoint.rstrip("/") == DEFAULT_HUB else f"{endpoint.rstrip('/')}/{repository}"
            of = HubReference(endpoint, repository, revision)
            return [Revision(f"{shown}@{revision}", of, (recipe,), install.token)]
        case ModelRecipe(url=url, sha256=sha256):
            return [_address(url, sha256, model=True)]
        case SentModelRecipe(sha256=sha256, filename=filename):
            return [Sent(f"{filename} {sha256[:_SHOWN]}", install.sent_from or "", sha256)]
        case ReleaseRecipe(archives=archives):
            return [_address(archive.url, archive.sha256) for archive in archives]
        case SourceBuildRecipe(source=ArchiveSource(url=url, sha256=sha256)):
            return [_address(url, sha256)]
        case SourceBuildRecipe(source=SdistSource(package=package, version=version, sha256=sha256)):
            return [Sdist(f"{package} {version}", sha256)]
        case PythonEnvRecipe(requirements=requirements, build_requirements=build):
            return [PythonSet(install.name, install.title, _digest(requirements), _digest(build) if build else None)]
    return []


def _address(url: str, sha256: str | None, *, model: bool = False) -> Address:
    """A query may be a key to the file: it is no part of the name, and its digest is, in its place."""
    plain = url.partition("#")[0].partition("?")[0]
    return Address(plain if plain == url or not sha256 else f"{plain} {sha256[:_SHOWN]}", url, sha256, model)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
