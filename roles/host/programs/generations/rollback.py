"""Going back to the generation that worked, when another one fails."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from roles.contract.requests import Activation, GoBack, Outcome
from roles.host.programs.console import HostError, Progress, described, say
from roles.host.programs.foreign.take_over import give_back, kept_names
from roles.host.programs.generations.activate import activate
from roles.host.programs.generations.kept import generations, missing_installs, passed_verifications
from roles.host.programs.generations.leave import leave
from roles.host.programs.generations.record import first_line, note, note_verdict

_SHOWN_CHECKS = 5


def main(request: GoBack) -> None:
    """The verification of the current generation has failed: record that and go back.

    Raises:
        HostError: always, with the reason first and the result of going back second.
    """
    note_verdict(request.state, request.who, request.failed, request.verdict)
    if not request.verified:
        _require_a_verifier(request)
    raise go_back(request, request.failed, request.reason)


def _require_a_verifier(request: GoBack) -> None:
    """Go back from a generation without a known failure only to one whose verifier works on this host.

    Raises:
        HostError: that verifier gives no verdict on this host either. So the cause is not in what was changed.
    """
    target = _generation_that_passed(request, request.failed)
    if isinstance(target, str):
        return
    # Its script names the current generation's folder.
    script = re.sub(rf"{re.escape(request.config)}(?![\w-])", str(target), (target / "bin/verify").read_text())
    try:
        _verify(["sh", "-c", script, "verify"])
    except HostError as error:
        raise HostError(
            f"generation {request.failed} was not verified: {request.reason}\n"
            f"It stays active, as generation {target.name}, to which the host would roll back, cannot be verified here "
            f"either: {error}\nFix what is named above and run again"
        ) from None


def go_back(request: Activation, failed: str, reason: str) -> HostError:
    """Activate and verify the generation that worked before; returns the error to fail with.

    This is one program here, not steps that the control machine runs: so it goes on if the connection is lost.

    Args:
        failed: the generation that fails.
        reason: why it fails.
    """
    failure = f"generation {failed} failed: {reason}"
    target = _generation_that_passed(request, failed)
    if isinstance(target, str):
        back = _left(request) if not passed_verifications(request.state) else ""
        return HostError(f"{failure}\nThere is nothing to roll back to: {target}{back}")
    say(f"generation {failed} failed: {first_line(reason)}")
    say(f"rolling back to generation {target.name}")
    began = time.monotonic()
    try:
        activate(request, target)
        failure = "\n".join([failure, *give_back(request, to=target)])
        took = round(time.monotonic() - began, 1)
        more = {"from": failed, "reason": first_line(reason), "seconds": took}
        note(request.state, "rolled back", target.name, request.who, **more)
    except (HostError, OSError) as error:
        return HostError(
            f"{failure}\nTHE ROLLBACK FAILED TOO: generation {target.name}, which passed before, fails too: "
            f"{described(error)}\n"
            "Fix what is named above and run again"
        )
    try:
        verdict = _verify([f"{request.config}/bin/verify"])
    except HostError as error:
        return HostError(f"{failure}\nGeneration {target.name} is active again, and was not verified: {error}")
    note_verdict(request.state, request.who, target.name, verdict)
    if verdict.status == "pass":
        return HostError(f"{failure}\nGeneration {target.name} is active again: {verdict.summary}")
    return HostError(
        f"{failure}\nTHE ROLLBACK DID NOT HELP: generation {target.name} is active again and fails too: "
        f"{verdict.summary}"
    )


def _left(request: Activation) -> str:
    """A first deploy that has moved others' things aside and fails puts them back: what it did with them, in words."""
    names = kept_names(request)
    if not names:
        return ""
    problems = leave(request, why="it has failed, and what it took over is given back")
    result = "what was there before is back" if not problems else "not all of what was there before is back"
    return "\n".join([f"\nSo the stack is stopped, and {result}: {', '.join(names)}", *problems])


def _generation_that_passed(request: Activation, failed: str) -> Path | str:
    """Where to go back to: the generation that was current before, else the last that passed; or why there is none."""
    passed = passed_verifications(request.state)
    kept = {folder.name: folder for folder in generations(request.generations)}
    name: str | None
    if request.found != failed and request.found in passed:
        name = request.found
    elif failed in passed:
        return "this same generation passed before, so something else has changed on the host"
    else:
        name = next((name for name in reversed(passed) if name in kept), None)
    if name is None or name not in kept:
        return "no generation that is kept here has passed before"
    missing = missing_installs(kept[name])
    if missing:
        return f"generation {name} passed before, but of its installs {', '.join(missing)} are gone"
    return kept[name]


def _verify(verifier: list[str]) -> Outcome:
    """The result of a generation's own verifier.

    Raises:
        HostError: it gave no verdict.
    """
    with Progress("verifying"):
        try:
            done = subprocess.run(
                [*verifier, "--json"], capture_output=True, text=True, errors="backslashreplace", check=False
            )
        except OSError as error:
            raise HostError(f"its verifier cannot be run: {error.filename}: {error.strerror}") from None
    try:
        verdict = json.loads(done.stdout)
        # No generation can fix problems of the host itself.
        checks = [check for check in verdict["checks"] if not check["id"].startswith("host/")]
        seconds = float(verdict["seconds"])
    except (ValueError, LookupError, TypeError):
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise HostError(f"its verifier gave no verdict: {said[0]}") from None
    wrong = [f"{check['id']} ({check['seen']})" for check in checks if not check["ok"]]
    if not wrong:
        summary = f"{len(checks)} of {len(checks)} checks pass"
    else:
        more = f" and {len(wrong) - _SHOWN_CHECKS} more" if len(wrong) > _SHOWN_CHECKS else ""
        summary = f"{len(wrong)} of {len(checks)} checks fail: {', '.join(wrong[:_SHOWN_CHECKS])}{more}"
    return Outcome(status="pass" if checks and not wrong else "fail", seconds=seconds, summary=summary)
