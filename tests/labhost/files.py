"""What the file mirror serves: tiny models that each answer one sentence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.labhost.models import write_tiny_gguf
from tests.labhost.paths import LabFolders, locked

MODELS = {
    "native.gguf": "This is the native llama server",
    "python.gguf": "This is the Python llama server",
}


@dataclass(frozen=True)
class ServedModel:
    """A model that the mirror serves: its digest, and the sentence that it answers everything with."""

    sha256: str
    says: str


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
    return {name: ServedModel(_sha256(folder / name), says) for name, says in MODELS.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
