"""Models that must be on a host before it is deployed to, since others keep them."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand

from roles.contract.requests import FoundModels, LookAtModels
from roles.host.program import answer, program_command


class ModelProblems(FactBase[FoundModels]):
    """Why such models cannot be used. Asked with `_stdin=StandardInput(LookAtModels(models=…))`."""

    def command(self) -> StringCommand:
        return program_command(LookAtModels.program)

    def process(self, output: list[str]) -> FoundModels:
        return answer(FoundModels, output)
