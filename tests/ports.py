"""Ports of loopback for tests: one that stays free until its server takes it, and one at which nobody answers."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections import deque
from collections.abc import Iterator

_FIRST, _LAST = 16384, 32767
"""Below those that the kernel gives to whoever asks for any port, or opens a connection."""
_numbers = itertools.count(os.getpid())
_claims: deque[socket.socket] = deque(maxlen=64)


def free_port() -> int:
    """A port that nobody has and no other call gets, in whatever process of the tests, until 64 more are asked for."""
    for number in itertools.islice(_numbers, _LAST - _FIRST):
        port = _FIRST + number % (_LAST - _FIRST + 1)
        claim = socket.socket(socket.AF_UNIX)
        try:
            # A name without a file: it goes with the process, however that ends.
            claim.bind(f"\0ai-backend-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        if len(_claims) == _claims.maxlen:
            _claims.popleft().close()
        _claims.append(claim)
        return port
    raise OSError(f"no port from {_FIRST} to {_LAST} is free")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
