"""The proof on the control machine's side: ask the host's verifier, show its verdict, fail on anything but a pass."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FactBase, Host, QuoteString, State, StringCommand, operation
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import PyinfraCommand
from rich.console import Console

from roles.host.target import Target
from roles.verify import Verdict, print_report

_LOG_WIDTH = 140
"""Columns of the table where it goes to a file or a pipe."""


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
def prove_routes() -> Generator[PyinfraCommand, None, None]:
    """Run the verifier on the host and print its table. A pass changes nothing; anything else fails the operation."""
    if not host.state.is_executing:
        return  # nothing can be proved before the operations above have run
    layout = Target.of(host).plan.layout
    verdict = host.get_fact(
        HostVerdict,
        verifier=f"{layout.config}/bin/verify",
        # 1: something does not hold; 2: something could not be checked. Both come with a verdict.
        _success_exit_codes=[0, 1, 2],
    )
    if verdict is None:
        yield Refusal("the verifier gave no verdict: is the stack deployed?")
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    print_report(verdict, console)
    if verdict.status != "pass":
        yield Refusal(verdict.summary)
        return
    host.noop(verdict.summary)
