"""An error of ours as OpenAI's API words it."""

from __future__ import annotations

from typing import Any

from litellm.proxy._types import ProxyException


class Refusal(ProxyException):  # type: ignore[misc]  # LiteLLM is not there where this is type-checked
    """It has a code for programs: LiteLLM's own errors have the status for theirs.

    Attributes:
        client: whose request it was, where LiteLLM does not know that yet.
    """

    client: str | None = None

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, kind, param, status, headers)
        self._code = code

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "code": self._code}
