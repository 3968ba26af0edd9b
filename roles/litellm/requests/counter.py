"""What LiteLLM calls after each request, to count it: `litellm_settings.callbacks` names `counter`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
from litellm.proxy import proxy_server

from roles.litellm.requests.hook import routes
from roles.litellm.requests.names import USAGE_VARIABLE
from roles.litellm.requests.usage import Usage, of_answer, of_failure

_LONGEST_END = 1.0
"""Seconds that the end of the process waits for what LiteLLM has not logged yet."""


class Counter(CustomLogger):  # type: ignore[misc]  # LiteLLM is not there where this is type-checked
    """Counts each request once, by its answer or by the error that the client gets."""

    def __init__(self, usage: Usage | None) -> None:
        super().__init__()
        self._usage = usage

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """After an answer, at a stream's end. Attempts that failed before are no requests of their own."""
        if self._usage and (counted := of_answer(kwargs, routes)):
            self._usage.count(*counted)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: object,
        traceback_str: str | None = None,
    ) -> None:
        """Once no fallback is left, or a request was refused."""
        if self._usage:
            client = getattr(original_exception, "client", None)
            self._usage.count(*of_failure(request_data, _status(original_exception), routes, client))


def _status(error: Exception) -> int:
    """LiteLLM's own errors have it as a number, those of the proxy as text."""
    for found in (getattr(error, "status_code", None), getattr(error, "code", None)):
        with contextlib.suppress(TypeError, ValueError):
            return int(found)  # type: ignore[arg-type]
    return 500


def _write_at_the_end(usage: Usage) -> None:
    """uvicorn ends the process by the signal that it got: Python runs nothing then. This is called once the last
    request has ended."""
    original = proxy_server.proxy_shutdown_event

    @functools.wraps(original)
    async def shut_down(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), _LONGEST_END)
        await asyncio.to_thread(usage.close)
        await original(*args, **kwargs)

    proxy_server.proxy_shutdown_event = shut_down


def _started() -> Usage | None:
    """None where nothing is to be counted, as in a gateway that is tried out."""
    file = os.environ.get(USAGE_VARIABLE)
    if not file:
        return None
    usage = Usage(Path(file))
    usage.start()
    _write_at_the_end(usage)
    return usage


usage = _started()
"""This process' one."""
counter = Counter(usage)
