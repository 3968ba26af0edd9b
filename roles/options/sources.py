"""Sources of files, source trees and models. Each is pinned by its content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from roles.contract.gguf import PART_NAME
from roles.options.base import Many, Options
from roles.options.errors import OptionsError
from roles.options.secrets import GivenSecret
from roles.options.spelling import is_address, quoted, spelled
from roles.options.values import HostPath, LocalPath, Revision, Sha256, Url


def _stays_below(path: str) -> str:
    if is_address(path):
        raise ValueError(f"{quoted(path)} is an address, and this is a path within it: give the last part alone")
    if not path or path.startswith("/") or ".." in path.split("/") or any(c.isspace() for c in path):
        raise ValueError(f"{quoted(path)} is no relative path without `..` and spaces")
    return path


RelativePath = Annotated[str, AfterValidator(_stays_below)]

_LONGEST_NAME = 240
"""Bytes. The longest name in Linux, less room for the suffix of an incomplete file."""


def _names_a_file(address: str) -> str:
    """Its last part is the file's name on the host."""
    name = address.split("?", 1)[0].rsplit("/", 1)[-1]
    if _PAGE.match(address):
        raise ValueError(
            f"{quoted(address)} is the page about a file; give the address of the file itself, with "
            f"`/{'resolve' if 'huggingface' in address else 'raw'}/` in place of `/blob/`"
        )
    if name in ("", ".", "..") or not name.isprintable() or "\\" in name or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"{address[:_LONGEST_NAME]!r} does not end in the name of a file")
    return address


_PAGE = re.compile(r"https://(?:huggingface\.co|github\.com)/[^/]+/[^/]+/blob/")
FileUrl = Annotated[Url, AfterValidator(_names_a_file)]

_MOST_PARTS = 999


def parts_of_gguf(file: str) -> tuple[str, ...]:
    """All files of a split model, by the name of its first; the file alone, if it is not split.

    Raises:
        ValueError: it is a part, and not the first, or its numbers are none.
    """
    named = PART_NAME.fullmatch(file)
    if named is None:
        return (file,)
    number, count = int(named["number"]), int(named["count"])
    if not 1 <= number <= count <= _MOST_PARTS:
        raise ValueError(f"{quoted(file)} is part {number} of {count}, which cannot be")
    if number != 1:
        first = f"{named['stem']}-00001-of-{named['count']}.gguf"
        raise ValueError(f"{quoted(file)} is part {number} of {count}; give {quoted(first)}, which fetches all")
    return tuple(f"{named['stem']}-{part:05}-of-{named['count']}.gguf" for part in range(1, count + 1))


def _is_whole(file: str) -> str:
    if PART_NAME.fullmatch(file.split("?", 1)[0]):
        raise ValueError(
            f"{quoted(file)} is one part of a model, which its server needs all of, side by side; give a HubFile with "
            "the first, which fetches all, or make one file of them with `llama-gguf-split --merge`"
        )
    return file


class UrlFile(Options):
    """A file, by address and digest."""

    url: Annotated[FileUrl, AfterValidator(_is_whole)] = Field(
        examples=['url="https://files.example.com/qwen2.5-1.5b-instruct-q4_k_m.gguf"']
    )
    """Address of the file."""
    sha256: Sha256 = Field(examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"'])
    """Digest of its bytes, checked before it is used."""

    @property
    def filename(self) -> str:
        return self.url.split("?", 1)[0].rsplit("/", 1)[-1]


class LocalFile(Options):
    """A file of the control machine, sent to the host once, by digest."""

    path: Annotated[LocalPath, AfterValidator(_names_a_file), AfterValidator(_is_whole)] = Field(
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

    path: LocalPath = Field(examples=['path="~/ai-backend/chat-template.jinja"'])
    """Path of the file; `~` is the home of the user who runs pyinfra."""

    def __init__(self, *by_place: str, **options: str) -> None:
        self._fill(by_place, options, may="path")

    def text(self) -> str:
        """Its content, read now.

        Raises:
            OptionsError: it cannot be read, or is not text.
        """
        try:
            return Path(self.path).expanduser().read_text()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise OptionsError(f"{self.path} cannot be read: {reason}") from None


class UrlArchive(UrlFile):
    """A source tree in a tar archive, by address and digest."""

    url: FileUrl = Field(examples=['url="https://github.com/ggml-org/llama.cpp/archive/refs/tags/b7240.tar.gz"'])
    """Address of the archive."""
    subdirectory: RelativePath | None = Field(None, examples=['subdirectory="vendor/llama.cpp"'])
    """Folder of the source tree below the archive's single top folder; none = the top folder itself."""


PackageName = Annotated[
    str, spelled("[a-z0-9][a-z0-9-]*", 'name of a package in lower case, such as "llama-cpp-python"')
]
ExactVersion = Annotated[str, spelled("[0-9][0-9a-z.]*", 'exact version, such as "0.3.36"')]


class PythonSdist(Options):
    """A source tree in a Python source distribution, from the host's configured package index."""

    package: PackageName = Field(examples=['package="llama-cpp-python"'])
    """Name of the package."""
    version: ExactVersion = Field(examples=['version="0.3.36"'])
    """Exact version."""
    sha256: Sha256 = Field(examples=['sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"'])
    """Digest of the source distribution."""
    subdirectory: RelativePath | None = Field(None, examples=['subdirectory="vendor/llama.cpp"'])
    """Folder of the source tree below the distribution's top folder."""


Repository = Annotated[
    str, spelled(r"[\w.-]+/[\w.-]+", 'repository on a Hub: organisation/model, such as "Qwen/Qwen2.5-1.5B"')
]


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
    """One file of a model repository on a Hugging Face Hub (or mirror). A model that is split into several files is
    named by the first of them."""

    file: Annotated[RelativePath, AfterValidator(_names_a_file)] = Field(
        examples=['file="qwen2.5-1.5b-instruct-q4_k_m.gguf"']
    )
    """Path of the file in the repository; of a split model (`…-00001-of-00003.gguf`) the first, and all are fetched."""
    sha256: Sha256 | None = Field(
        None, examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"']
    )
    """Digest of the file, as the Hub shows it for large files; none = the Hub's digest for that revision. Not for a
    split model, each file of which has its own."""

    @property
    def filename(self) -> str:
        """Its path below the folder of the install."""
        return self.file

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the model."""
        return parts_of_gguf(self.file)

    @model_validator(mode="after")
    def _parts_are_known(self) -> HubFile:
        if len(self.files) > 1 and self.sha256:
            raise ValueError(
                f"`sha256` is the digest of one file, and the model has {len(self.files)}; leave it out, and give a "
                "commit as `revision`, which pins them all"
            )
        return self


class HubModel(_OnHub):
    """A whole model repository on a Hugging Face Hub (or mirror)."""

    repository: Repository = Field(examples=['repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ"'])
    """`organisation/model`."""
    files: Annotated[Many[str], Field(min_length=1)] = Field(
        ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"), examples=['files=["*.safetensors", "*.json"]']
    )
    """The wanted files, as shell patterns over their paths. Unless it is given, a repository without `*.safetensors`
    gives its `*.bin` instead. One in which they find no weights is refused."""


class HostFile(Options):
    """A GGUF file that is on the host already, or on a share that is mounted there. It is used where it is: it is never
    copied, changed or removed. The service's user must be able to read it; the deploy checks that first.
    """

    path: Annotated[HostPath, AfterValidator(_names_a_file)] = Field(
        examples=['path="/srv/models/qwen2.5-1.5b-instruct-q4_k_m.gguf"']
    )
    """Its whole path on the host; of a split model (`…-00001-of-00003.gguf`) the first, beside which the others are."""
    sha256: Sha256 | None = Field(
        None, examples=['sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"']
    )
    """Digest of its bytes; none = recorded when it is first seen. Not for a split model."""

    @property
    def files(self) -> tuple[str, ...]:
        """Whole paths of all files of the model."""
        folder, _, name = self.path.rpartition("/")
        return tuple(f"{folder}/{part}" for part in parts_of_gguf(name))

    @model_validator(mode="after")
    def _parts_are_known(self) -> HostFile:
        if len(self.files) > 1 and self.sha256:
            raise ValueError(
                f"`sha256` is the digest of one file, and the model has {len(self.files)}; leave it out: their digests "
                "are recorded when they are first seen"
            )
        return self


class HostFolder(Options):
    """A model's folder that is on the host already, or on a share that is mounted there, as `hf download` makes it. It
    is used where it is: it is never copied, changed or removed. The service's user must be able to read it; the deploy
    checks that first. The digests of its files are recorded when it is first seen.
    """

    path: HostPath = Field(examples=['path="/srv/models/Qwen2.5-Coder-7B-Instruct-AWQ"'])
    """Its whole path on the host."""

    @property
    def filename(self) -> str:
        return self.path.rsplit("/", 1)[-1]


_OTHER_FORMS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".ggml", ".json", ".html", ".sha256"),
    *(".zip", ".tar", ".gz", ".tgz", ".xz", ".zst", ".7z", ".rar"),
)
_PIECE = re.compile(r"(?i)\.gguf[.-](part-?[0-9a-z]+(of[0-9]+)?|split-[0-9a-z]+|[0-9]{3})")


def _may_be_gguf(source: UrlFile | HubFile | LocalFile | HostFile) -> UrlFile | HubFile | LocalFile | HostFile:
    """A name without an ending may be one, as in the stores of other programs."""
    name = source.path.rpartition("/")[2] if isinstance(source, HostFile) else source.filename
    if any(sign in name for sign in "*?["):
        raise ValueError(f"{quoted(name)} stands for several files; give the name of one")
    if _PIECE.search(name):
        raise ValueError(
            f"{quoted(name)} is one piece of a file that was cut; join all with `cat`, and give a LocalFile of that"
        )
    if ending := next((each for each in _OTHER_FORMS if name.lower().endswith(each)), None):
        raise ValueError(f"{quoted(name)} is no GGUF file, by its ending {ending}; take a GGUF file of the model")
    return source


GgufSource = Annotated[UrlFile | HubFile | LocalFile | HostFile, AfterValidator(_may_be_gguf)]
ModelSource = UrlFile | HubFile | LocalFile | HostFile | HubModel | HostFolder
SourceTree = UrlArchive | PythonSdist
