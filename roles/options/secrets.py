"""Secrets: declared by their source, never by their value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from roles.options.base import Options
from roles.options.errors import OptionsError
from roles.options.hidden import HIDDEN, without_secrets
from roles.options.spelling import spelled
from roles.options.values import LocalPath

MINIMUM_LENGTH = 16
"""Characters. A generation's name is a digest over its bytes, and every user of the host can read it: a secret must
be too long to be guessed from it."""


class Secret(Options):
    """A value that only the host's 0600 files and the process that needs it may contain."""

    abstract: ClassVar[bool] = True
    hidden: ClassVar[bool] = True

    def source(self) -> str:
        """The source of the value, for messages and printed plans. Never the value."""
        raise NotImplementedError


class GivenSecret(Secret):
    """A secret whose value the control machine can read."""

    abstract: ClassVar[bool] = True

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

    variable: Annotated[
        str, spelled("[A-Za-z_][A-Za-z0-9_]*", 'name of an environment variable, such as "LITELLM_MASTER_KEY"')
    ] = Field(examples=['variable="LITELLM_MASTER_KEY"'])
    """Name of the environment variable."""

    def __init__(self, *by_place: str, **options: str) -> None:
        self._fill(by_place, options, may="variable")

    def source(self) -> str:
        return f"environment variable {self._shown}"

    @property
    def _shown(self) -> str:
        """Its name, unless that may be the secret itself."""
        return self.variable if self.variable.isupper() or "_" in self.variable else HIDDEN

    def reveal(self) -> str:
        value = os.environ.get(self.variable)
        if not value:
            message = f"missing secret: {self.source()} is not set; run `export {self._shown}=…` first"
            raise OptionsError(without_secrets(message, self.variable))
        return self._checked(value)


class FileSecret(GivenSecret):
    """Read from a file of the control machine (its first line): `FileSecret("~/.secrets/master-key")`."""

    path: LocalPath = Field(examples=['path="~/.secrets/litellm-master-key"'])
    """Path of the file; `~` is the home of the user who runs pyinfra."""

    def __init__(self, *by_place: str, **options: str) -> None:
        self._fill(by_place, options, may="path")

    def source(self) -> str:
        is_path = any(sign in self.path for sign in "/.~")
        return f"file {self.path if is_path else HIDDEN}"

    def reveal(self) -> str:
        try:
            lines = Path(self.path).expanduser().read_text().splitlines()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            message = f"missing secret: {self.source()} cannot be read: {reason}"
            raise OptionsError(without_secrets(message, self.path)) from None
        return self._checked(lines[0].strip() if lines else "")


class GeneratedSecret(Secret):
    """Made once on the host, kept there in a 0600 file, printed nowhere."""

    def source(self) -> str:
        return "the host, where it is generated once"
