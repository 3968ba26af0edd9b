"""The proof on the control machine's side: ask the host's verifier, show its verdict, fail on anything but a pass."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from pyinfra import host
from pyinfra.api import FactBase, Host, QuoteString, State, StringCommand, operation
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import PyinfraCommand
from rich.console import Console

from roles.host.operations import activation_request, who_runs_this
from roles.host.outside import outside_checks
from roles.host.program import HostProgram
from roles.host.target import Target
from roles.plan import Json
from roles.verify import Verdict, print_report

_LOG_WIDTH = 140
"""Columns of the table where it goes to a file or a pipe."""

_NO_VERDICT = "the verifier gave no verdict"


class HostVerdict(FactBase[Verdict]):
    """What the host's own verifier finds. Reads only: it asks the endpoint, systemd and /proc."""

    def command(self, verifier: str) -> StringCommand:
        """`verifier`: path of the generation's `bin/verify`."""
        return StringCommand(QuoteString(verifier), "--json")

    def process(self, output: list[str]) -> Verdict:
        return Verdict.from_json("\n".join(output))


class Refusal(PyinfraCommand):
    """A command that fails with a reason: how an operation says that what it checked does not hold."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __repr__(self) -> str:
        return f"Refusal({self.reason})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        host.log_styled(self.reason, fg="red")
        return False


@operation()
def prove_routes(*, deploying: bool = False) -> Generator[PyinfraCommand, None, None]:
    """Run the verifier on the host and print its table. A pass changes nothing; anything else fails the operation.

    Args:
        deploying: the run is to leave a host that holds. A verdict on what it has activated is written down there, and
            where that does not hold the generation that held before is activated again.
    """
    if not host.state.is_executing:
        return  # nothing can be proved before the operations above have run
    target = Target.of(host)
    verdict = host.get_fact(
        HostVerdict,
        verifier=f"{target.plan.layout.config}/bin/verify",
        # 1: something does not hold; 2: something could not be checked. Both come with a verdict.
        _success_exit_codes=[0, 1, 2],
    )
    if verdict is not None:
        verdict = replace(verdict, checks=(*verdict.checks, *outside_checks(host, target.plan)))
        console = Console(stderr=True)
        if not console.is_terminal:
            console.width = _LOG_WIDTH
        print_report(verdict, console)
    summary = verdict.summary if verdict else f"{_NO_VERDICT}: is the stack deployed?"
    # What held before, and was not touched by this run, leaves nothing to be written down and nothing to go back from.
    if deploying and (target.activated or not target.state.proved):
        yield _consequence(target, verdict)
    elif verdict is not None and verdict.status == "pass":
        host.noop(summary)
    else:
        yield Refusal(summary)


def _consequence(target: Target, verdict: Verdict | None) -> HostProgram:
    """What a deploy makes of the verdict on what it has activated: it is written down, or the host goes back."""
    generation = target.activated or target.state.generation
    if verdict is not None and verdict.status == "pass":
        layout = target.plan.layout
        written: dict[str, Json] = {"state": layout.state, "who": who_runs_this(), "generation": generation}
        return HostProgram("record", {**written, "verdict": _for_history(verdict)})
    request = activation_request(target, target.found or generation)
    request |= {"failed": generation, "reason": _reason(verdict), "verdict": _for_history(verdict)}
    return HostProgram("rollback", request)


def _for_history(verdict: Verdict | None) -> dict[str, Json]:
    if verdict is None:
        return {"status": "unknown", "summary": _NO_VERDICT, "seconds": 0}
    return {"status": verdict.status, "summary": verdict.outcome, "seconds": verdict.seconds}


def _reason(verdict: Verdict | None) -> str:
    """Why a generation does not hold, with the checks that fail: for who reads the last lines only."""
    if verdict is None:
        return _NO_VERDICT
    wrong = [f"    {check.id}: {check.seen}" for check in verdict.checks if not check.ok]
    return "\n".join([verdict.outcome, *wrong])
