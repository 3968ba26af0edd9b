"""The Ollama that lab hosts install: the stand-in, or the real releases that `OLLAMA_ARCHIVE` and, for down-grades,
`OLLAMA_ARCHIVE_OLDER` name, by path or address.

    OLLAMA_ARCHIVE=~/ollama-linux-amd64.tar.zst OLLAMA_VERSION=0.32.15 \\
    OLLAMA_ARCHIVE_OLDER=~/older/ollama-linux-amd64.tar.zst OLLAMA_VERSION_OLDER=0.32.14 make lab
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path

from roles.ollama import OllamaRelease
from tests.lab.inventory import LLAMA_CPP
from tests.lab.llama_cpp import llama_cpp_bin
from tests.labhost import Lab, LabError
from tests.labhost.paths import locked
from tests.labhost.programs import run_program
from tests.ollama_stand_in.archive import ARCHIVE_NAME, lay_out, pack

RECORDED_VERSION = "0.32.15"
"""The release whose recorded exchanges the stand-in is held to."""
OLDER_VERSION = "0.32.14"
"""The one that tests go back to."""
_ARCHIVE, _VERSION = "OLLAMA_ARCHIVE", "OLLAMA_VERSION"


def ollama_release(lab: Lab, *, older: bool = False) -> OllamaRelease:
    """The release that the lab's mirror serves; `older`: the one that tests go back to."""
    suffix, version = ("_OLDER", OLDER_VERSION) if older else ("", RECORDED_VERSION)
    version = os.environ.get(_VERSION + suffix, version)
    given = os.environ.get(_ARCHIVE + suffix)
    folder = lab.folders.files / "ollama" / (f"given-{version}" if given else version)
    with locked(lab.folders.root / "ollama.lock"):
        if given:
            sha256 = _copy(_ARCHIVE + suffix, given, folder / ARCHIVE_NAME)
        else:
            # Always anew: it takes a second, and the stand-in may have changed since an earlier run.
            beside = folder / f".{ARCHIVE_NAME}"
            sha256 = pack(llama_cpp_bin(lab, LLAMA_CPP), version, beside)
            beside.rename(folder / ARCHIVE_NAME)
    return OllamaRelease(version=version, url=f"{lab.mirror_url}/ollama/{folder.name}", sha256=sha256)


def ollama_tree(lab: Lab, tree: Path) -> None:
    """The files of that release, unpacked."""
    given = os.environ.get(_ARCHIVE)
    if not given:
        lay_out(llama_cpp_bin(lab, LLAMA_CPP), RECORDED_VERSION, tree)
        return
    archive = tree.with_name(ARCHIVE_NAME)
    _copy(_ARCHIVE, given, archive)
    tree.mkdir()
    run_program("tar", "--zstd", "-xf", str(archive), "-C", str(tree))


def _copy(variable: str, given: str, target: Path) -> str:
    if not given.endswith(".tar.zst"):
        raise LabError(f"{variable}={given} is no .tar.zst; give the archive of a release since 0.14")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}")
    try:
        if given.startswith(("http://", "https://")):
            urllib.request.urlretrieve(given, beside)
        else:
            shutil.copyfile(Path(given).expanduser(), beside)
    except OSError as error:
        raise LabError(f"{variable}={given} cannot be had: {error}") from None
    beside.rename(target)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
