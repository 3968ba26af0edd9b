"""Runs a command on the host and returns its output. Nothing else in the verifier runs commands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from roles.verify.verdict.claim import CannotCheck
from roles.verify.verdict.quoting import decoded, quoted


class CommandFailed(CannotCheck):
    """A command has ended with another exit status than 0.

    Attributes:
        errors: its standard error.
    """

    def __init__(self, message: str, errors: str) -> None:
        super().__init__(message)
        self.errors = errors


async def output_of(
    name: str, command: list[str], longest_answer: float, environment: Mapping[str, str] | None = None
) -> str:
    """The standard output of a command.

    Args:
        name: for messages, e.g. `systemctl show`.
        longest_answer: seconds.

    Raises:
        CannotCheck: it cannot be run, or takes too long.
        CommandFailed: it fails.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise CannotCheck(f"{name.split()[0]} cannot be run: {error.strerror}") from None
    try:
        output, errors = await asyncio.wait_for(process.communicate(), longest_answer)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CannotCheck(f"{name} gave no answer within {longest_answer:.0f} s") from None
    if process.returncode != 0:
        printed = decoded(errors)
        raise CommandFailed(f"{name}: exit status {process.returncode}, {quoted(printed)}", printed)
    return decoded(output)
