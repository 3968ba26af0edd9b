"""Output of hosts, made safe for the control machine's terminal: a compromised host must not control it.

Every line from a host passes through here, whatever shows it later: progress, errors, facts. JSON is decoded here
too, as decoding restores the characters that were escaped.
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
"""Characters that control a terminal, change the text direction, or cannot be written. Tabs and newlines stay."""
_CONTROL = re.compile(f"[{_CONTROLS}]")


NO_ANSWER = "the host's answer is not what was asked for: something else answers there"


def escaped(text: str) -> str:
    """Escape as JSON does, so that JSON stays valid."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def decoded(output: Iterable[str]) -> Any:
    """The JSON from a host, without characters in its strings that control a terminal.

    Raises:
        FactProcessError: it is not JSON.
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
    """Make pyinfra pass all output of hosts through `escaped`, for the rest of this process."""
    # paramiko logs tracebacks that quote the host; without a handler they would go to the terminal unescaped.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    # pyinfra ends a run this way when its last host has failed. It says so itself; gevent would add a traceback.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, PyinfraError)
    read_buffer: Callable[..., None] = util.read_buffer

    def read_escaped(name: str, io: Iterable[str | bytes], *arguments: Any, **options: Any) -> None:
        read_buffer(name, _lines(io), *arguments, **options)

    util.read_buffer = read_escaped


def _lines(io: Iterable[str | bytes]) -> Iterator[str]:
    if isinstance(io, ChannelFile):
        # paramiko would decode strictly, and a single invalid byte would end all reading.
        io = io.channel.makefile_stderr("rb") if isinstance(io, ChannelStderrFile) else io.channel.makefile("rb")
    for line in io:
        text = line if isinstance(line, str) else line.decode(errors="replace")
        yield escaped(text.rstrip("\r\n"))
