"""Secrets: declared by their source, never by their value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from roles.options.base import Options
from roles.options.errors import OptionsError

MINIMUM_LENGTH = 16
"""Characters. A generation's name is a digest over its bytes, and every user of the host can read it: a secret must
be too long to be guessed from it."""


class Secret(Options):
    """A value that only the host's 0600 files and the process that needs it may contain."""

    def source(self) -> str:
        """The source of the value, for messages and printed plans. Never the value."""
        raise NotImplementedError


class GivenSecret(Secret):
    """A secret whose value the control machine can read."""

    def reveal(self) -> str:
        """The value, read now on the control machine.

        Raises:
            OptionsError: it is missing, too short, or contains a line break.
        """
        raise NotImplementedError

    def _checked(self, value: str) -> str:
        if len(value) < MINIMUM_LENGTH:
            raise OptionsError(
                f"the secret from {self.source()} has fewer than {MINIMUM_LENGTH} characters; take a longer one"
            )
        if any(not character.isprintable() for character in value):
            raise OptionsError(f"the secret from {self.source()} contains a line break or a control character")
        return value


class EnvSecret(GivenSecret):
    """Read from an environment variable of the control machine: `EnvSecret("LITELLM_MASTER_KEY")`."""

    variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        examples=['variable="LITELLM_MASTER_KEY"']
    )
    """Name of the environment variable."""

    def __init__(self, variable: str) -> None:
        Options.__init__(self, variable=variable)

    def source(self) -> str:
        return f"environment variable {self.variable}"

    def reveal(self) -> str:
        value = os.environ.get(self.variable)
        if not value:
            raise OptionsError(f"missing secret: {self.source()} is not set; run `export {self.variable}=…` first")
        return self._checked(value)


class FileSecret(GivenSecret):
    """Read from a file of the control machine (its first line): `FileSecret("~/.secrets/master-key")`."""

    path: str = Field(examples=['path="~/.secrets/litellm-master-key"'])
    """Path of the file; `~` is the home of the user who runs pyinfra."""

    def __init__(self, path: str) -> None:
        Options.__init__(self, path=path)

    def source(self) -> str:
        return f"file {self.path}"

    def reveal(self) -> str:
        try:
            lines = Path(self.path).expanduser().read_text().splitlines()
        except OSError as error:
            raise OptionsError(f"missing secret: {self.source()} cannot be read: {error.strerror}") from None
        return self._checked(lines[0].strip() if lines else "")


class GeneratedSecret(Secret):
    """Made once on the host, kept there in a 0600 file, printed nowhere."""

    def source(self) -> str:
        return "the host, where it is generated once"
