"""One request's way through a host, by the id that its client got: who answered, what was tried, how long it took."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from roles.contract.generation import Scope
from roles.contract.trace import FRONT_UNIT, FoundRequest, LoggedLine, find_request
from roles.verify.generation import Generation
from roles.verify.verdict.quoting import printable

_WHO = {
    "C": "the client hung up",
    "c": "the client sent nothing for too long",
    "D": "the instance was taken out of work",
    "I": "HAProxy met an error of its own",
    "K": "it was ended by hand",
    "L": "the front answered itself",
    "P": "the front refused it",
    "R": "HAProxy ran out of memory, files or ports",
    "S": "the instance closed the connection or refused it",
    "s": "the instance was silent for too long",
    "U": "the instance came back, and the session was moved",
}
"""The first character of HAProxy's termination state: who ended the session (its configuration manual, 8.5)."""
_WHEN = {
    "C": "while the instance was connected to",
    "D": "in the middle of the answer",
    "H": "before the answer began",
    "L": "when the answer was almost sent",
    "Q": "while it waited for a free instance",
    "R": "before the request was whole",
}
"""The second one: what the session was at."""


_ENDS = {
    "LR": "the front answered itself",
    "PR": "the front refused it",
    "sC": "no instance took the connection in time",
    "sQ": "no instance was free in time",
}
"""Of the two together, where that says more."""


def request_way(found: FoundRequest, servers: Sequence[str], scope: Scope) -> Iterator[str]:
    """What to show of it, a line each, in the order of time.

    Args:
        servers: the host's units, to name that of the server that answered.
    """
    if found.more:
        yield "earlier lines are left out"
    taken = sum(_fallback(line) is not None for line in found.lines)
    for line in found.lines:
        request = _of_the_front(line)
        if request is None:
            yield f"{line.time}  {line.unit}: {_said(line)}"
        else:
            yield f"{line.time}  {line.unit}: {_answered(request, taken)}"
            yield from _where_to_look(line, request, servers, scope)


def nothing_of(found: FoundRequest, name: str) -> str:
    """What to say of a host that knows nothing of a request."""
    if found.oldest is None:
        return f"nothing: its journal has no line of {FRONT_UNIT}, or is kept from this user"
    return f"no request {name}: its journal goes back to {found.oldest}"


def _of_the_front(line: LoggedLine) -> Mapping[str, Any] | None:
    if line.unit != FRONT_UNIT:
        return None
    try:
        request = json.loads(line.text)
    except ValueError:
        return None
    return request if isinstance(request, dict) else None


def _fallback(line: LoggedLine) -> Mapping[str, Any] | None:
    try:
        said = json.loads(line.text)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("event") == "fallback" else None


def _said(line: LoggedLine) -> str:
    said = _fallback(line)
    if said is None:
        return line.text
    answered = "answered" if said.get("answered") else "did not answer either"
    return f"{said.get('asked')} failed: {said.get('why')}; its fallback {said.get('tried')} {answered}"


def _answered(request: Mapping[str, Any], taken: int) -> str:
    """
    Args:
        taken: fallbacks that the gateway's own lines report. Its answer counts less: how deep they are nested, so that
            several of one route are one.
    """
    # HAProxy logs `-` for what there is not.
    get = {key: "" if value == "-" else value for key, value in request.items()}.get
    who = f"client {get('client')}" if get("client") else "a client without a name"
    parts = [f"{get('method')} {get('path')} by {who} from {get('from')}: status {get('status')} after {get('ms')} ms"]
    if _number(request, "wait_ms") > 0:
        parts.append(f"waited {get('wait_ms')} ms for a free instance")
    if _number(request, "first_byte_ms") >= 0:
        parts.append(f"first byte of the answer after {get('first_byte_ms')} ms")
    if get("deployment"):
        parts.append(f"answered by {get('deployment')} of route {get('route')}")
    fallbacks = taken or (int(counted) if (counted := str(get("fallbacks"))).isdecimal() else 0)
    if fallbacks:
        parts.append("after one fallback" if fallbacks == 1 else f"after {fallbacks} fallbacks")
    if get("instance") not in (None, "", "<NOSRV>"):
        parts.append(f"through instance {get('instance')}")
    parts.append(f"{get('request_bytes')} bytes asked, {get('answer_bytes')} answered")
    end = str(get("end") or "--")
    if end != "--":
        words = " ".join(part for part in (_WHO.get(end[:1]), _WHEN.get(end[1:2])) if part)
        parts.append(_ENDS.get(end) or words or f"ended with {end}")
    return "; ".join(parts)


def _where_to_look(line: LoggedLine, request: Mapping[str, Any], servers: Sequence[str], scope: Scope) -> Iterator[str]:
    """The command for what its backend logged meanwhile: most log no ids."""
    provider = str(request.get("deployment") or "").rpartition("@")[2]
    units = [unit for unit in servers if unit.rpartition("@")[2] == f"{provider}.service"]
    if not provider or not units:
        return
    end = datetime.fromisoformat(line.time)
    began = end - timedelta(milliseconds=_number(request, "ms"))
    shown = " ".join(f"-u {unit}" for unit in units)
    user = "--user " if scope == "user" else ""
    since, until = (f"'{each.astimezone(UTC):%F %T} UTC'" for each in (began, end + timedelta(seconds=1)))
    yield f"    its server's log meanwhile: journalctl {user}{shown} --since {since} --until {until}"


def _number(request: Mapping[str, Any], name: str) -> float:
    found = request.get(name)
    return found if isinstance(found, int | float) else 0


def way_on_this_host(generation: Generation, name: str) -> list[str]:
    """What this host's journal has of a request, or why it has nothing: lines for a terminal."""
    servers = tuple(service.unit for service in generation.services)
    flags = ("--user",) if generation.scope == "user" else ()
    found = find_request(name, servers, FRONT_UNIT, lambda units, *more: _journal(flags, units, *more))
    lines = list(request_way(found, servers, generation.scope)) or [nothing_of(found, name)]
    return [printable(line) for line in lines]


def _journal(flags: Sequence[str], units: Sequence[str], *more: str) -> Iterator[str]:
    """A user whom the journal is kept from has none of it."""
    which = [*(f"--unit={unit}" for unit in units), "--output=json", "--no-pager", "--quiet", *more]
    with subprocess.Popen(
        ["journalctl", *flags, *which],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="backslashreplace",
    ) as process:
        try:
            yield from process.stdout or ()
        finally:
            process.kill()
