"""What the tests of the verifier have in common."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def run_by_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host, whoever runs the tests: the command tells others that it can do little for them."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
