"""What all unit tests share."""

from __future__ import annotations

from typing import NoReturn

import pytest

from roles.verify.verdict import claim


@pytest.fixture(autouse=True)
def defects_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host an exception that nobody foresaw costs one check; in a test it is a defect."""

    def raised(error: Exception) -> NoReturn:
        raise error

    monkeypatch.setattr(claim, "unforeseen", raised)
