"""What a lab host's gateway has counted of a client's requests: each instance adds its own to a file now and then."""

from __future__ import annotations

import shlex

from tests.labhost import LabHost

_READ = """
import sqlite3, sys
base = sqlite3.connect("file:/var/lib/ai-backend/usage/usage.sqlite?mode=ro", uri=True, timeout=5)
print(base.execute("SELECT coalesce(sum(requests), 0) FROM usage WHERE client = ?", sys.argv[1:]).fetchone()[0])
"""


def counted(host: LabHost, client: str) -> int:
    """All requests of a client that are in the file."""
    return int(host.run(f"python3 -c {shlex.quote(_READ)} {client}").stdout)


def wait_until_counted(host: LabHost, client: str, requests: int) -> None:
    """Until the file has that many, at most 15 seconds, and one more, after which the other instance knows of them."""
    read = f"python3 -c {shlex.quote(_READ)} {client}"
    until = f'until [ "$({read})" -ge {requests} ]; do sleep 0.2; done'
    host.run(f"timeout 15 sh -c {shlex.quote(until)}; sleep 1", timeout=30)
