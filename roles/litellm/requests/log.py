"""Keeps the gateway's journal short: the front writes a line for each request, and here a failure is one line."""

from __future__ import annotations

import logging

_LOUD = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "uvicorn.error")
_LONGEST = 500
"""Characters of a failure: the whole of one has up to 6 kB, most of it traceback."""


def quiet_logs() -> None:
    """For the loggers of this process, from now on."""
    for name in _LOUD:
        logging.getLogger(name).addFilter(shorten)
    # A line for each request without its id, model or key, and one for each health check.
    logging.getLogger("uvicorn.access").addFilter(_nothing)


_SAID_AGAIN = (
    # The router's, of a failure that the proxy logs too, with the request's id.
    "Error occurred while trying to do fallbacks",
    # An address to report a failure to, of which another line says what it was.
    "This looks like a bug in LiteLLM",
)


def shorten(record: logging.LogRecord) -> bool:
    """Make a record one line: its message's first, without a traceback."""
    if record.levelno < logging.WARNING:
        return True
    if any(words in record.getMessage() for words in _SAID_AGAIN):
        return False
    lines = [line.strip() for line in record.getMessage().splitlines() if line.strip()]
    text = lines[0] if lines else ""
    record.msg, record.args = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…", ()
    record.exc_info = record.exc_text = record.stack_info = None
    return True


def _nothing(_record: logging.LogRecord) -> bool:
    return False
