"""A failure is one line, whoever logs it; what says nothing more is none."""

from __future__ import annotations

import logging
import sys

from roles.litellm.requests.log import shorten


def record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    try:
        raise ValueError("within")
    except ValueError:
        return logging.LogRecord("uvicorn.error", level, "x.py", 1, message, (), sys.exc_info())


def test_a_failure_is_its_first_line_without_a_traceback() -> None:
    failed = record("Exception in ASGI application\nTraceback\n" + "x" * 6000)
    assert shorten(failed)
    assert (failed.getMessage(), failed.exc_info) == ("Exception in ASGI application", None)
    long = record("x" * 6000)
    assert shorten(long)
    assert len(long.getMessage()) < 600


def test_what_another_line_says_is_left_out() -> None:
    assert not shorten(record("litellm.router.py: Error occurred while trying to do fallbacks"))
    assert not shorten(record("This looks like a bug in LiteLLM rather than in your request."))


def test_what_is_no_failure_stays_as_it_is() -> None:
    started = record("Started\nserver", logging.INFO)
    assert shorten(started)
    assert started.getMessage() == "Started\nserver"
