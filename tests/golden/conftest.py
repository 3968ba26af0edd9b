"""What all tests of expected files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[Path, str], None]


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Golden:
    """Fails where a file does not hold a text; `make golden` writes it instead."""

    def holds(file: Path, text: str) -> None:
        if pytestconfig.getoption("--write-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert text == file.read_text(), f"{file} differs; if it should, run `make golden` and read the diff"

    return holds
