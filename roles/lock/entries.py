"""What a lock says of each thing. What is not known yet is left out: the next `deploys/lock.py` fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from roles.fit.stored import restored

VERSION: Literal[1] = 1
"""Of the file's form."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
Size = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class _Model(_Entry):
    facts: Mapping[str, Any] | str | None = None
    """What the memory plan needs to know, as `roles.fit.stored` writes it; a text: why there is none of that."""

    @field_validator("facts")
    @classmethod
    def _can_be_read(cls, facts: Mapping[str, Any] | str | None) -> Mapping[str, Any] | str | None:
        if isinstance(facts, Mapping):
            restored(facts)
        return facts


class LockedFile(_Model):
    """A file of a repository. A GGUF model in several files has its facts at the first."""

    size: Size
    sha256: Sha256


class LockedRevision(_Model):
    """A revision of a model repository on a Hub. Its own facts are those of its safetensors files together."""

    commit: Commit
    patterns: list[str]
    """The shell patterns that `files` has all files of."""
    files: Mapping[str, LockedFile] = Field(default_factory=dict)


class LockedLayer(_Entry):
    kind: str
    """The end of its media type, such as `model` or `template`."""
    digest: Sha256
    size: Size


class LockedModel(_Model):
    """A model of a registry. Its facts are those of the layer that is its GGUF file."""

    digest: Sha256
    """Of its manifest."""
    size: Size | None = None
    """Bytes of all layers."""
    layers: list[LockedLayer] = Field(default_factory=list)


class LockedAddress(_Model):
    """A file with an address: an archive, or a model."""

    sha256: Sha256
    size: Size | None = None


class LockedSet(_Entry):
    """A Python environment: digests of its lock files."""

    of: str
    requirements: Sha256
    build_requirements: Sha256 | None = None


class LockedSource(_Entry):
    """A Python source distribution."""

    sha256: Sha256


class LockedSent(_Model):
    """A file that the control machine sends."""

    sha256: Sha256
    size: Size | None = None


Entry: TypeAlias = LockedRevision | LockedModel | LockedAddress | LockedSet | LockedSource | LockedSent


class LockContent(_Entry):
    """A whole lock. Names of things are as `Reference.key`."""

    version: Literal[1] = VERSION
    hosts: Mapping[str, list[str]] = Field(default_factory=dict)
    """Host → the names of all that its plan refers to."""
    hub: Mapping[str, LockedRevision] = Field(default_factory=dict)
    registry: Mapping[str, LockedModel] = Field(default_factory=dict)
    addresses: Mapping[str, LockedAddress] = Field(default_factory=dict)
    sent: Mapping[str, LockedSent] = Field(default_factory=dict)
    sources: Mapping[str, LockedSource] = Field(default_factory=dict)
    python: Mapping[str, LockedSet] = Field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, Entry]:
        found: Mapping[str, Entry] = getattr(self, name)
        return found
