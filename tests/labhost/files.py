"""What the file mirror serves: tiny models that each answer one sentence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.labhost.hub import publish
from tests.labhost.models import write_tiny_gguf
from tests.labhost.paths import LabFolders, locked

MODELS = {
    "native.gguf": "This is the native llama server",
    "python.gguf": "This is the Python llama server",
}


@dataclass(frozen=True)
class ServedModel:
    """A model that the mirror serves.

    Attributes:
        says: the sentence that it answers everything with.
        repository: where it is served too, as a Hub serves it, on branch `main` and under its file name.
    """

    sha256: str
    says: str
    repository: str


def lab_models(folders: LabFolders) -> dict[str, ServedModel]:
    """Make sure that the models are there; return them by file name."""
    folder = folders.files
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        # Always anew: they take milliseconds, and a sentence may have changed since an earlier run.
        for name, says in MODELS.items():
            beside = folder / f".{name}"
            write_tiny_gguf(beside, says=says, name=Path(name).stem)
            beside.rename(folder / name)
            publish(folder, _repository(name), {name: (folder / name).read_bytes()})
    return {name: ServedModel(_sha256(folder / name), says, _repository(name)) for name, says in MODELS.items()}


def _repository(name: str) -> str:
    return f"lab/{Path(name).stem}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
