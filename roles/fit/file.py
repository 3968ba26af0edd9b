"""The facts of a model in a GGUF file of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from roles.contract.gguf import read_header
from roles.fit.facts import ModelFacts, facts_of


def facts_of_file(path: Path) -> ModelFacts:
    """Read them from the file's header.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a whole language model.
    """
    with path.open("rb") as file:
        return facts_of(read_header(file, os.fstat(file.fileno()).st_size))
