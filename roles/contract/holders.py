"""Who holds which key: what the front knows of the clients' keys.

HAProxy has a map: SHA-256 of a key → its holder, as `NAME:END`. END is the Unix time from which the key is refused, or
0 if it never is. The map is made from the variables of environment files: at the front's start by this file, which a
generation has as a program of its own, and at run time by a deploy. So it needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping

MASTER = "master"
"""The holder of the gateway's own key: administration, and the verifier."""

CLIENTS_VARIABLE = "CLIENTS"
"""Has `NAME:END` of each client, with spaces between."""
DIGEST_PREFIX = "CLIENT_KEY_"
"""Begins the names of the variables that have the digest of a client's key."""


def digest_variable(client: str) -> str:
    """The variable of the digest of that client's key. No two clients share one: their names have no underscore."""
    return DIGEST_PREFIX + client.replace("-", "_")


def key_digest(key: str) -> str:
    """What is kept of a key: it is long and random, so that nobody finds it by trying."""
    return hashlib.sha256(key.encode()).hexdigest()


def client_of(holder: str) -> str:
    """The client's name in `NAME:END`."""
    return holder.partition(":")[0]


def holders_in(variables: Mapping[str, str]) -> list[str]:
    """`NAME:END` of each declared client."""
    return variables.get(CLIENTS_VARIABLE, "").split()


def clients_of(variables: Mapping[str, str]) -> list[str]:
    """The names of the declared clients."""
    return [client_of(holder) for holder in holders_in(variables)]


def holders(variables: Mapping[str, str], master_variable: str) -> dict[str, str]:
    """Digest → `NAME:END`. A client without a digest has no key yet, and is left out.

    Args:
        variables: those of the environment files.
        master_variable: the one that has the gateway's own key.
    """
    found = {}
    for holder in holders_in(variables):
        if digest := variables.get(digest_variable(client_of(holder))):
            found[digest] = holder
    # Last: whatever a client was given, the gateway's own key stays valid.
    return {**found, key_digest(variables[master_variable]): f"{MASTER}:0"}


if __name__ == "__main__":
    for digest, holder in holders(os.environ, sys.argv[1]).items():
        print(digest, holder)
