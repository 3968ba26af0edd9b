"""Which TCP ports of an address accept connections from here. Changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from roles.contract.requests import Reach, Reached
from roles.contract.wire import written

OPEN, REFUSED, SILENT = "open", "refused", "silent"

LONGEST_ANSWER = 1.0
"""Seconds for a connection. A firewall that drops packets never answers."""


def reach(addresses: Iterable[tuple[str, int]]) -> list[str]:
    """For each address and port `open`, `refused`, `silent`, or why it cannot be tried; all are tried at once."""
    wanted = list(addresses)
    with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
        return list(pool.map(_try, wanted))


def _try(address: tuple[str, int]) -> str:
    try:
        with socket.create_connection(address, timeout=LONGEST_ANSWER):
            return OPEN
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return SILENT
    except OSError as error:
        return error.strerror or type(error).__name__


def main(request: Reach) -> None:
    print(json.dumps(written(Reached(results=tuple(reach(request.addresses))))))
