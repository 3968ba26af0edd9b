"""One request's way through a host, by the id that its client got, asked from the control machine."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import FactBase, StringCommand

from roles.contract.trace import FRONT_UNIT, FindRequest, FoundRequest
from roles.host.program import answer, program_command
from roles.plan import HostPlan
from roles.verify import request_way


class LoggedRequest(FactBase[FoundRequest]):
    """What the host's journal has about a request. Reads only.

    Asked with `_stdin=StandardInput(trace_request(plan, id))`.
    """

    def command(self) -> StringCommand:
        return program_command(FindRequest.program)

    def process(self, output: list[str]) -> FoundRequest:
        return answer(FoundRequest, output)


def trace_request(plan: HostPlan, name: str) -> FindRequest:
    units = tuple(unit.name for unit in plan.servers)
    return FindRequest(scope=plan.layout.scope, id=name, units=units, front=FRONT_UNIT)


def way_of(found: FoundRequest, plan: HostPlan) -> Iterator[str]:
    """What to show of it, a line each, in the order of time."""
    return request_way(found, [unit.name for unit in plan.servers], plan.layout.scope)
