"""Verification on the control machine: run the host's verifier, show its verdict, fail on anything but a pass."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from pyinfra import host
from pyinfra.api import FactBase, Host, QuoteString, State, StringCommand, operation
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import FactProcessError
from rich.console import Console

from roles.contract.requests import GoBack, Outcome, RecordVerdict
from roles.data import More
from roles.host.holder import who_runs_this
from roles.host.operations import activation
from roles.host.output import decoded
from roles.host.outside import outside_checks
from roles.host.program import HostProgram, python_command
from roles.host.target import Target
from roles.options import AskApis
from roles.verify import APIS, EARLIER, FORMS, VERDICTS, Verdict, failed_apis, print_report, read_verdict

_LOG_WIDTH = 140
"""Columns of the table if it goes to a file or a pipe."""

_APIS_SECONDS = 60
"""For so long a deploy asks as client programs ask. Small models need a few seconds, slow ones would need minutes."""
CHANGED_SPEED: Final = "speed=changed"
"""What a deploy of this version's generation adds: the speed of the routes that it changes."""

_NO_VERDICT = "the verifier gave no verdict"


class HostVerdict(FactBase[Verdict]):
    """The result of the host's own verifier. It asks the endpoint, systemd and /proc. It keeps the verdict there, and
    changes nothing else."""

    def command(self, verifier: str, more: Sequence[str] = ()) -> StringCommand:
        """`verifier`: path of the generation's `bin/verify`. `more`: what it does besides its usual checks, such as
        `apis` or `apis=60`."""
        return StringCommand(QuoteString(verifier), "--json", "--keep", *(f"--{each}" for each in more))

    def process(self, output: list[str]) -> Verdict:
        try:
            return read_verdict(json.dumps(decoded(output)))
        except ValueError as error:
            raise FactProcessError(str(error)) from None


class KeptVerdicts(FactBase[tuple[Verdict, ...]]):
    """The last verdicts that the host keeps, oldest first. Reads only."""

    def command(self, state: str) -> StringCommand:
        """`state`: the layout's state folder."""
        program = files("roles.verify.verdict").joinpath("kept_files.py").read_text()
        return python_command(program, f"{state}/{VERDICTS}", str(EARLIER))

    def process(self, output: list[str]) -> tuple[Verdict, ...]:
        verdicts = []
        for line in output:
            # A verdict in another version's schema is of no use here.
            with contextlib.suppress(ValueError, FactProcessError):
                verdicts.append(read_verdict(json.dumps(decoded([line]))))
        return tuple(verdicts)


class FailedApis(FactBase[dict[str, dict[str, str]]]):
    """What failed when generations were last asked as client programs ask: generation → check id → code. Reads only."""

    def command(self, state: str) -> StringCommand:
        """`state`: the layout's state folder."""
        return StringCommand("cat", QuoteString(f"{state}/{APIS}"), "2>/dev/null", "||", "true")

    def process(self, output: list[str]) -> dict[str, dict[str, str]]:
        return failed_apis("\n".join(output))


class Refusal(PyinfraCommand):
    """A command that fails with a reason: how an operation reports that its check fails."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __repr__(self) -> str:
        return f"Refusal({self.reason})"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        host.log_styled(" ".join(self.reason.split()), fg="red")
        return False


@operation()
def verify_routes(
    *,
    deploying: bool = False,
    apis: AskApis = "on-demand",
    report: str | None = None,
    more: More | Literal["speed=changed"] | None = None,
) -> Generator[PyinfraCommand, None, None]:
    """Run the verifier on the host and print its table. A pass changes nothing; anything else fails the operation.

    Args:
        deploying: the run must leave a working host. The verdict on what it activated is recorded there. If it fails,
            the generation that worked before is activated again. Otherwise the run only verifies the host, and also
            reports what changed since the last verdict.
        apis: if `after-changes`, a deploy that has started or restarted servers also asks as client programs ask. What
            fails then fails the deploy; the generation stays if the same failed in the one before.
        report: folder on this machine for the verdict in all its forms, in a folder of the host's name.
        more: besides the usual checks, `apis`: ask as client programs ask, and with their mistakes; `faults`: really
            stop backends to see fallbacks answer, which clients notice; `speed`: measure how fast routes answer.
    """
    if not host.state.is_executing:
        return  # nothing can be verified before the operations above have run
    target = Target.of(host)
    earlier: tuple[Verdict, ...] = ()
    if not deploying:
        # Before the verifier runs, as it keeps its verdict.
        earlier = host.get_fact(KeptVerdicts, state=target.plan.layout.state) or ()
    asked: list[str] = [more] if more else []
    if deploying and apis == "after-changes" and _has_changed(target):
        asked.append(f"apis={_APIS_SECONDS}")
    verdict = host.get_fact(
        HostVerdict,
        verifier=f"{target.plan.layout.config}/bin/verify",
        more=tuple(asked),
        # 1: a check fails; 2: a check could not be made. Both come with a verdict.
        _success_exit_codes=[0, 1, 2],
        # Output without a verdict is reported below. pyinfra would end the run here, with a traceback.
        _ignore_errors=True,
    )
    if verdict is not None:
        verdict = replace(verdict, checks=(*verdict.checks, *outside_checks(host, target.plan)))
        console = Console(stderr=True)
        if not console.is_terminal:
            console.width = _LOG_WIDTH
        print_report(verdict, console, earlier)
    if verdict is not None and report is not None:
        try:
            host.log(f"written: {_write_report(verdict, earlier, Path(report).expanduser() / _folder_name(host))}")
        except OSError as error:
            yield Refusal(f"the report cannot be written: {error.filename or report}: {error.strerror}")
            return
    summary = verdict.summary if verdict else f"{_NO_VERDICT}: is the stack deployed, and by this version?"
    # If the generation passed before and this run did not touch it, nothing is recorded and nothing is undone.
    if deploying and (target.activated or not target.state.verified):
        yield _consequence(target, _of_the_change(host, target, verdict.of_the_stack()) if verdict else None)
        if verdict is not None and verdict.status != "pass":
            # The generation stays all the same: the problem is in the host itself, or was there before.
            yield Refusal(summary)
    elif verdict is not None and verdict.status == "pass":
        host.noop(summary)
    else:
        yield Refusal(summary)


def _folder_name(host: Host) -> str:
    """A host's name that is safe as a folder name: `@docker/image` would lead elsewhere."""
    return host.name.replace("/", "-").lstrip(".") or "host"


def _write_report(verdict: Verdict, earlier: Sequence[Verdict], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for form in FORMS.values():
        (folder / form.file).write_text(form.write(verdict, earlier), encoding="utf-8")
    return folder


def _has_changed(target: Target) -> bool:
    """Whether this run has started or restarted servers, or one that died before it may have."""
    return bool(target.restarted) if target.activated else not target.state.verified


def _of_the_change(host: Host, target: Target, verdict: Verdict) -> Verdict:
    """The same without what client programs would not get before the change either, as far as that was asked."""
    if target.found == target.activated or not any(check.asks_apis and not check.ok for check in verdict.checks):
        return verdict
    failed = host.get_fact(FailedApis, state=target.plan.layout.state) or {}
    before = failed.get(target.found or "", {})
    return replace(
        verdict,
        checks=tuple(
            check
            for check in verdict.checks
            if check.ok or not check.asks_apis or before.get(check.id) != (check.code or "")
        ),
    )


def _consequence(target: Target, verdict: Verdict | None) -> HostProgram:
    """What a deploy does after the verdict on its generation: record it, or go back."""
    generation = target.activated or target.state.generation
    assert generation is not None, "a run that verifies has activated a generation, or found one active"
    outcome = _for_history(verdict)
    if outcome.status == "pass":
        state = target.plan.layout.state
        return HostProgram(
            RecordVerdict(state=state, who=who_runs_this(), generation=generation, verdict=outcome),
        )
    return HostProgram(
        GoBack(
            **activation(target, target.found or generation),
            failed=generation,
            reason=_reason(verdict),
            verdict=outcome,
            verified=verdict is not None,
        )
    )


def _for_history(verdict: Verdict | None) -> Outcome:
    if verdict is None:
        return Outcome(status="unknown", summary=_NO_VERDICT, seconds=0)
    return Outcome(status=verdict.status, summary=verdict.outcome, seconds=verdict.seconds)


def _reason(verdict: Verdict | None) -> str:
    """Why a generation fails, with the failed checks: for people who read the last lines only."""
    if verdict is None:
        return _NO_VERDICT
    wrong = [check for check in verdict.checks if not check.ok]
    lines = [verdict.outcome, *(f"    {check.id}: {check.seen}" for check in wrong)]
    if wrong and all(check.asks_apis for check in wrong):
        lines.append('    To deploy it all the same: verification=Verification(apis="on-demand")')
    return "\n".join(lines)
