"""Going back to the generation that held, when another one does not."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from roles.host.programs.activate import activate
from roles.host.programs.console import HostError, Progress, described, say
from roles.host.programs.kept import generations, missing_installs, passed_proofs
from roles.host.programs.record import first_line, note, note_verdict

_SHOWN_CHECKS = 5


def main(request: dict[str, Any]) -> None:
    """The proof of the current generation has failed: write that down and go back.

    Raises:
        HostError: always, with the reason first and what became of going back second.
    """
    note_verdict(request["state"], request["who"], request["failed"], request["verdict"])
    raise go_back(request, request["failed"], request["reason"])


def go_back(request: dict[str, Any], failed: str, reason: str) -> HostError:
    """Activate and prove the generation that held before; what to fail with.

    Here, in one program, and not in steps that the control machine orders: it goes on when the connection is lost.

    Args:
        failed: the generation that does not hold.
        reason: why it does not.
    """
    told = f"generation {failed} did not hold: {reason}"
    target = _generation_that_held(request, failed)
    if isinstance(target, str):
        return HostError(f"{told}\nThere is nothing to go back to: {target}")
    say(f"generation {failed} did not hold: {first_line(reason)}")
    say(f"going back to generation {target.name}")
    began = time.monotonic()
    try:
        activate(request, target)
        took = round(time.monotonic() - began, 1)
        more = {"from": failed, "reason": first_line(reason), "seconds": took}
        note(request["state"], "rolled back", target.name, request["who"], **more)
        verdict = _prove(request["config"])
        note_verdict(request["state"], request["who"], target.name, verdict)
    except (HostError, OSError) as error:
        return HostError(
            f"{told}\nGOING BACK FAILED TOO: generation {target.name}, which held before, does not any more: "
            f"{described(error)}\n"
            "Mend what is named above and run again"
        )
    if verdict["status"] == "pass":
        return HostError(f"{told}\nGeneration {target.name} is active again: {verdict['summary']}")
    return HostError(
        f"{told}\nGOING BACK DID NOT HELP: generation {target.name} is active again and does not hold any more: "
        f"{verdict['summary']}"
    )


def _generation_that_held(request: dict[str, Any], failed: str) -> Path | str:
    """Where to go back to: what the host was found with, else the last that passed; or why there is nothing."""
    passed = passed_proofs(request["state"])
    kept = {folder.name: folder for folder in generations(request["generations"])}
    if request["found"] != failed and request["found"] in passed:
        name = request["found"]
    elif failed in passed:
        return "this very generation held before, so something else has changed on the host"
    else:
        name = next((name for name in reversed(passed) if name in kept), None)
    if name not in kept:
        return "no generation that is kept here has held before"
    missing = missing_installs(kept[name])
    if missing:
        return f"generation {name} held before, but of its installs {', '.join(missing)} are gone"
    return kept[name]


def _prove(config: str) -> dict[str, Any]:
    """What the current generation's own verifier finds: `status`, `summary` and `seconds`.

    Raises:
        HostError: it gave no verdict.
    """
    with Progress("proving", lambda: ""):
        command = [f"{config}/bin/verify", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        verdict = json.loads(done.stdout)
        # What is wrong with the host itself no generation can mend.
        checks = [check for check in verdict["checks"] if not check["id"].startswith("host/")]
    except (ValueError, LookupError, TypeError):
        raise HostError(f"its verifier gave no verdict: {done.stderr.strip()}") from None
    wrong = [f"{check['id']} ({check['seen']})" for check in checks if not check["ok"]]
    if not wrong:
        summary = f"{len(checks)} of {len(checks)} checks hold"
    else:
        more = f" and {len(wrong) - _SHOWN_CHECKS} more" if len(wrong) > _SHOWN_CHECKS else ""
        summary = f"{len(wrong)} of {len(checks)} checks do not hold: {', '.join(wrong[:_SHOWN_CHECKS])}{more}"
    return {"status": "pass" if checks and not wrong else "fail", "seconds": verdict["seconds"], "summary": summary}
