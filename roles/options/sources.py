"""Sources of files, source trees and models. Each is pinned by its content."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SerializeAsAny

from roles.options.base import Many, Options
from roles.options.errors import OptionsError
from roles.options.secrets import GivenSecret
from roles.options.values import Revision, Sha256, Url


def _stays_below(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/") or any(c.isspace() for c in path):
        raise ValueError(f'"{path}" is no relative path without `..` and spaces')
    return path


RelativePath = Annotated[str, AfterValidator(_stays_below)]

_LONGEST_NAME = 240
"""Bytes. The longest name in Linux, less room for the suffix of an incomplete file."""


def _names_a_file(address: str) -> str:
    """Its last part is the file's name on the host."""
    name = address.split("?", 1)[0].rsplit("/", 1)[-1]
    if name in ("", ".", "..") or not name.isprintable() or "\\" in name or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"{address[:_LONGEST_NAME]!r} does not end in the name of a file")
    return address


FileUrl = Annotated[Url, AfterValidator(_names_a_file)]


class UrlFile(Options):
    """A file, by address and digest."""

    url: FileUrl = Field(examples=['url="https://files.example.com/qwen2.5-1.5b-instruct-q4_k_m.gguf"'])
    """Address of the file."""
    sha256: Sha256 = Field(examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"'])
    """Digest of its bytes, checked before it is used."""

    @property
    def filename(self) -> str:
        return self.url.split("?", 1)[0].rsplit("/", 1)[-1]


class LocalFile(Options):
    """A file of the control machine, sent to the host once, by digest."""

    path: Annotated[str, AfterValidator(_names_a_file)] = Field(
        examples=['path="~/models/qwen2.5-1.5b-instruct-q4_k_m.gguf"']
    )
    """Path of the file; `~` is the home of the user who runs pyinfra."""
    sha256: Sha256 = Field(examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"'])
    """Digest of its bytes, as `sha256sum` prints it."""

    @property
    def filename(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class TextFile(Options):
    """A text of the control machine that becomes part of the deployment: a template, a list of packages."""

    path: str = Field(examples=['path="~/ai-backend/chat-template.jinja"'])
    """Path of the file; `~` is the home of the user who runs pyinfra."""

    def __init__(self, path: str) -> None:
        Options.__init__(self, path=path)

    def text(self) -> str:
        """Its content, read now.

        Raises:
            OptionsError: it cannot be read, or is not text.
        """
        try:
            return Path(self.path).expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise OptionsError(f"{self.path} cannot be read: {reason}") from None


class UrlArchive(UrlFile):
    """A source tree in a tar archive, by address and digest."""

    url: FileUrl = Field(examples=['url="https://github.com/ggml-org/llama.cpp/archive/refs/tags/b7240.tar.gz"'])
    """Address of the archive."""
    subdirectory: RelativePath | None = Field(None, examples=['subdirectory="vendor/llama.cpp"'])
    """Folder of the source tree below the archive's single top folder; none = the top folder itself."""


class PythonSdist(Options):
    """A source tree in a Python source distribution, from the host's configured package index."""

    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] = Field(examples=['package="llama-cpp-python"'])
    """Name of the package."""
    version: Annotated[str, Field(pattern=r"^[0-9][0-9a-z.]*$")] = Field(examples=['version="0.3.36"'])
    """Exact version."""
    sha256: Sha256 = Field(examples=['sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"'])
    """Digest of the source distribution."""
    subdirectory: RelativePath | None = Field(None, examples=['subdirectory="vendor/llama.cpp"'])
    """Folder of the source tree below the distribution's top folder."""


Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class _OnHub(Options):
    repository: Repository = Field(examples=['repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF"'])
    """`organisation/model`."""
    revision: Revision = Field(examples=['revision="91cad51170dc346986eccefdc2dd33a9da36ead9"'])
    """Commit, branch or tag. A branch or tag is resolved when the model is fetched, and then stays at that commit."""
    token: SerializeAsAny[GivenSecret] | None = Field(None, examples=['token=EnvSecret("HF_TOKEN")'])
    """Access token, for gated repositories."""
    endpoint: Url = Field("https://huggingface.co", examples=['endpoint="https://hub.example.com"'])
    """The Hub, or a mirror of it."""


class HubFile(_OnHub):
    """One file of a model repository on a Hugging Face Hub (or mirror)."""

    file: Annotated[RelativePath, AfterValidator(_names_a_file)] = Field(
        examples=['file="qwen2.5-1.5b-instruct-q4_k_m.gguf"']
    )
    """Path of the file in the repository."""
    sha256: Sha256 | None = Field(
        None, examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"']
    )
    """Digest of the file, as the Hub shows it for large files; none = the Hub's digest for that revision."""

    @property
    def filename(self) -> str:
        return self.file.rsplit("/", 1)[-1]


class HubModel(_OnHub):
    """A whole model repository on a Hugging Face Hub (or mirror)."""

    repository: Repository = Field(examples=['repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ"'])
    """`organisation/model`."""
    files: Annotated[Many[str], Field(min_length=1)] = Field(
        ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"), examples=['files=["*.safetensors", "*.json"]']
    )
    """The wanted files, as shell patterns over their paths."""


GgufSource = UrlFile | HubFile | LocalFile
SourceTree = UrlArchive | PythonSdist
