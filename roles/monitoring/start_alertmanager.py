"""Starts Alertmanager: `python3 -I -S start-alertmanager CONFIG COPY COMMAND…`.

Alertmanager 0.25, which Debian 12 has, reads the address of a webhook from nothing but its configuration, and writes
it into its log when it is not well answered. So secrets come in environment variables: they are filled into a copy of
the configuration that only Alertmanager can read, and that is in memory; and they are taken out of what it logs.
"""

import os
import re
import signal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

_PLACE = re.compile(r"@secret:(\w+)@")
HIDDEN = b"[not shown]"


def filled(config: str, variables: Mapping[str, str]) -> str:
    """A configuration with its secrets. Each stands between single quotes, in which YAML doubles those of a text."""
    return _PLACE.sub(lambda found: variables[found[1]].replace("'", "''"), config)


def start(config: str, copy: str, *command: str) -> None:
    text = Path(config).read_text()
    names = sorted(set(_PLACE.findall(text)))
    if missing := [name for name in names if name not in os.environ]:
        print(f"fatal: no {', '.join(missing)} is given: run the deploy again", flush=True)
        sys.exit(78)
    with open(copy, "w", opener=_private) as file:
        file.write(filled(text, os.environ))
    reading, writing = os.pipe()
    # systemd stops all processes of a unit, at any moment, and the last lines are still to come.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if os.fork() == 0:
        os.close(writing)
        _pass_on(reading, [os.environ[name].encode() for name in names])
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.close(reading)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    os.execv(command[0], command)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _pass_on(reading: int, secrets: Collection[bytes]) -> None:
    """What is read, line by line, without the secrets, until nobody writes any more."""
    by_length = sorted(secrets, key=len, reverse=True)
    with open(reading, "rb") as lines:
        for line in lines:
            for secret in by_length:
                line = line.replace(secret, HIDDEN)
            os.write(1, line)


if __name__ == "__main__":
    start(*sys.argv[1:])
