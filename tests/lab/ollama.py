"""The Ollama that lab hosts install: the stand-in, or a real release that `OLLAMA_ARCHIVE` names.

OLLAMA_ARCHIVE=~/ollama-linux-amd64.tar.zst OLLAMA_VERSION=0.32.15 make lab
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
from tests.ollama_stand_in.archive import ARCHIVE_NAME, pack

RECORDED_VERSION = "0.32.15"
"""The release whose recorded exchanges the stand-in is held to."""
_ARCHIVE, _VERSION = "OLLAMA_ARCHIVE", "OLLAMA_VERSION"


def ollama_release(lab: Lab, version: str = RECORDED_VERSION) -> OllamaRelease:
    """The release that the lab's mirror serves.

    Args:
        version: what a stand-in calls itself. A real archive is used for `RECORDED_VERSION`'s place alone, so that it
            can be upgraded to and gone back from.
    """
    given = os.environ.get(_ARCHIVE)
    if given and version == RECORDED_VERSION:
        version = os.environ.get(_VERSION, RECORDED_VERSION)
        folder = lab.folders.files / "ollama" / f"given-{version}"
        with locked(lab.folders.root / "ollama.lock"):
            sha256 = _copy(given, folder / ARCHIVE_NAME)
    else:
        folder = lab.folders.files / "ollama" / version
        with locked(lab.folders.root / "ollama.lock"):
            # Always anew: it takes a second, and the stand-in may have changed since an earlier run.
            beside = folder / f".{ARCHIVE_NAME}"
            sha256 = pack(llama_cpp_bin(lab, LLAMA_CPP), version, beside)
            beside.rename(folder / ARCHIVE_NAME)
    return OllamaRelease(version=version, url=f"{lab.mirror_url}/ollama/{folder.name}", sha256=sha256)


def _copy(given: str, target: Path) -> str:
    if not given.endswith(".tar.zst"):
        raise LabError(f"{_ARCHIVE}={given} is no .tar.zst; give the archive of a release since 0.14")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}")
    try:
        if given.startswith(("http://", "https://")):
            urllib.request.urlretrieve(given, beside)
        else:
            shutil.copyfile(Path(given).expanduser(), beside)
    except OSError as error:
        raise LabError(f"{_ARCHIVE}={given} cannot be had: {error}") from None
    beside.rename(target)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
