"""An error of ours as OpenAI's API words it."""

from __future__ import annotations

from typing import Any

import litellm
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
        super().__init__(message, kind, param, status, headers, openai_code=code)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "code": self.openai_code}


class _Limit(litellm.RateLimitError):  # type: ignore[misc]  # likewise
    def __init__(self, message: str) -> None:
        super().__init__(message=message, llm_provider="", model="")


class LimitRefusal(Refusal, _Limit):
    """What a deployment is not asked for. For LiteLLM's router it is a limit that is used up, which cools nothing down;
    to the client it is sent as it is."""

    def __init__(self, refusal: Refusal) -> None:
        headers = dict(refusal.headers)
        super().__init__(int(refusal.code), refusal.openai_code, refusal.message, kind=refusal.type, headers=headers)
        self.message = refusal.message
