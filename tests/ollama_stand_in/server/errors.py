"""The errors that end in an answer."""

from __future__ import annotations


class ApiError(Exception):
    """An answer with this status and `{"error": message}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class StartError(Exception):
    """The server cannot start."""


class ClientGone(Exception):
    """Whoever asked has hung up."""
