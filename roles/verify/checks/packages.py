"""The check that the Debian packages that the stack needs are installed."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from roles.contract.verdict import Check
from roles.verify.probe.commands import output_of
from roles.verify.verdict.claim import CheckFailed, Claim

_LONGEST_ANSWER = 30.0
_QUERY = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"]


def packages_check(packages: Sequence[str]) -> Coroutine[Any, Any, Check]:
    """The check, to be awaited."""
    return Claim("host/packages", "host", "has its packages", " ".join(packages)).check(_installed(packages))


async def _installed(packages: Sequence[str]) -> str:
    # Lists all packages: dpkg-query fails when asked for an unknown one.
    output = await output_of("dpkg-query", _QUERY, _LONGEST_ANSWER)
    found = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    missing = [f"{name} is {found.get(name, 'not-installed')}" for name in packages if found.get(name) != "installed"]
    if missing:
        raise CheckFailed("package-missing", ", ".join(missing))
    return f"{len(packages)} installed"
