"""What hosts send, made fit for the terminal of the control machine: whoever has taken a host over is not to drive it.

Every line that a host sends enters here, whatever shows it later: progress, errors, facts. What comes as JSON is
decoded here too, as that turns what was escaped into what it was.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import gevent
from paramiko.channel import ChannelFile, ChannelStderrFile
from pyinfra.api.exceptions import FactProcessError, PyinfraError
from pyinfra.connectors import util

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""What drives a terminal, turns the direction of what follows, or cannot be written. Tabs and ends of lines stay."""
_CONTROL = re.compile(f"[{_CONTROLS}]")


NO_ANSWER = "the host's answer is not what was asked for: something else answers there"


def escaped(text: str) -> str:
    """In the way of JSON, so that JSON stays what it is."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def decoded(output: Iterable[str]) -> Any:
    """The JSON that a host has sent, with nothing in its texts that drives a terminal.

    Raises:
        FactProcessError: it is none.
    """
    try:
        return _cleaned(json.loads("\n".join(output)))
    except (ValueError, RecursionError):
        raise FactProcessError(NO_ANSWER) from None


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return escaped(value)
        case list():
            return [_cleaned(each) for each in value]
        case dict():
            return {escaped(key): _cleaned(each) for key, each in value.items()}
    return value


@cache
def guard_terminal() -> None:
    """Have pyinfra take in what hosts send by way of `escaped`, for the rest of this process."""
    # What paramiko logs, tracebacks with words of the host in them, else goes to the terminal as it is.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    # How pyinfra ends a run whose last host has failed: it says so itself, and gevent would add a traceback.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, PyinfraError)
    read_buffer: Callable[..., None] = util.read_buffer

    def read_escaped(name: str, io: Iterable[str | bytes], *arguments: Any, **options: Any) -> None:
        read_buffer(name, _lines(io), *arguments, **options)

    util.read_buffer = read_escaped


def _lines(io: Iterable[str | bytes]) -> Iterator[str]:
    if isinstance(io, ChannelFile):
        # paramiko would decode them strictly, and one foreign byte would end all reading.
        io = io.channel.makefile_stderr("rb") if isinstance(io, ChannelStderrFile) else io.channel.makefile("rb")
    for line in io:
        text = line if isinstance(line, str) else line.decode(errors="replace")
        yield escaped(text.rstrip("\r\n"))
