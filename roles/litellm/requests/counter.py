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

from roles.contract.budgets import Budget
from roles.litellm.requests.budgets import is_spent, out_of_budget
from roles.litellm.requests.hook import routes
from roles.litellm.requests.names import USAGE_VARIABLE
from roles.litellm.requests.refusal import LimitRefusal
from roles.litellm.requests.usage import Spender, Usage, of_answer, of_failure

_LONGEST_END = 1.0
"""Seconds that the end of the process waits for what LiteLLM has not logged yet."""


class Counter(CustomLogger):  # type: ignore[misc]  # LiteLLM is not there where this is type-checked
    """Counts each request once, by its answer or by the error that the client gets, and keeps providers to their
    budgets."""

    def __init__(self, usage: Usage | None) -> None:
        super().__init__()
        self._usage = usage

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: object,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[dict[str, Any]]:
        """Before LiteLLM chooses one of a route's deployments, also of a fallback's: without those whose provider may
        cost no more.

        Raises:
            Refusal: 429, there is no other one.
        """
        spent = [await self._spent_budget(each["model_info"]) for each in healthy_deployments]
        kept = [each for each, budget in zip(healthy_deployments, spent, strict=True) if budget is None]
        if not kept and (budget := next(filter(None, spent), None)):
            raise out_of_budget(budget, _no_server(model, budget))
        return kept

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Before a deployment is asked. One that a request names by its id was not chosen.

        Raises:
            LimitRefusal: 429, its provider may cost no more.
        """
        info = kwargs.get("model_info") or {}
        if budget := await self._spent_budget(info):
            raise LimitRefusal(out_of_budget(budget, _no_server(info["id"], budget)))

    async def _spent_budget(self, info: object) -> Budget | None:
        """The budget of a deployment's provider, if it is spent."""
        id = info.get("id") if isinstance(info, Mapping) else None
        declared = routes.deployment(id) if isinstance(id, str) else None
        if declared is None or declared.budget is None:
            return None
        is_over = await is_spent(declared.budget, Spender(provider=declared.provider), self._usage)
        return declared.budget if is_over else None

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


def _no_server(name: str, budget: Budget) -> str:
    return f'No server of "{name}" may answer: the {budget.usd:g} US dollars'


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
