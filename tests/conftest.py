"""Options that several kinds of tests share, and a rule for all of them: a case of a test has a readable id."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.case_ids import unreadable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the expected files anew instead of comparing")


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str) -> Generator[None, object, object]:
    """Where all tests pass by before one runs, however few were asked for."""
    made = yield
    for item in made if isinstance(made, list) else []:
        called = getattr(item, "callspec", None)
        if called and (why := unreadable(called.id, called.params)):
            raise collector.CollectError(
                f"{name}[{called.id}]: {why}; give the case an id in plain words: pytest.param(…, id=…)"
            )
    return made
