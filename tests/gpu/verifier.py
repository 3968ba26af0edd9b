"""The verifier's checks of cards, on a process that no unit has started."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx

from roles.contract.verdict import Check
from roles.verify.checks.cards import card_checks
from roles.verify.context import VerificationContext
from roles.verify.loading import load_generation
from tests.gpu.steps import StepError

DRIVER = "host/driver"


def checked(config: Path, unit: str, pid: int, folder: Path) -> Mapping[str, Check]:
    """The verdicts, by their ids, on a generation whose `unit` would have that one process.

    Args:
        folder: is made anew, for what the verifier reads of /proc: which process belongs to which unit. Without systemd
            that is the one thing that it cannot see.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / str(pid)).mkdir(parents=True)
    (folder / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")
    generation = load_generation(config)

    async def run() -> list[Check]:
        async with httpx.AsyncClient(trust_env=False) as client:
            context = VerificationContext(generation, client, folder, proc=folder)
            return list(await asyncio.gather(*card_checks(context, ())))

    return {check.id: check for check in asyncio.run(run())}


def must_say(verdicts: Mapping[str, Check], check: str, wanted: bool | None) -> str:
    """What a check has seen, if it says what it should; None = that it cannot be made."""
    found = verdicts[check]
    if found.ok is not wanted:
        words = {True: "passes", False: "fails", None: "cannot be checked"}
        raise StepError(f"{check} {words[found.ok]} where it should be otherwise: {found.seen}")
    return found.seen
