"""What LiteLLM calls for each request: `litellm_settings.callbacks` names `checks`.

LiteLLM has no setting for what happens here. It is tried against the one release that the lock pins; the lab's tests of
mistakes and fallbacks fail should another one behave differently.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import litellm
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.router import Router
from litellm.types.router import RouterRateLimitError
from litellm.types.utils import CallTypes

from roles.contract.abilities import Abilities
from roles.litellm.requests.log import quiet_logs
from roles.litellm.requests.mistakes import Call, Mistake, characters, correct
from roles.litellm.requests.names import MODELS_VARIABLE
from roles.litellm.requests.own_fields import without_clients_own
from roles.litellm.requests.plain import plain
from roles.litellm.requests.refusal import Refusal
from roles.litellm.requests.request_id import with_request_id
from roles.litellm.requests.routes import Routes

_CALLS: Mapping[str, Call] = {
    "acompletion": "chat",
    "completion": "chat",
    "atext_completion": "completion",
    "text_completion": "completion",
    "aembedding": "embedding",
    "embeddings": "embedding",
    "embedding": "embedding",
    "arerank": "rerank",
    "rerank": "rerank",
    "aresponses": "responses",
    "responses": "responses",
    "anthropic_messages": "messages",
}
"""LiteLLM's names of calls → ours."""


class RequestChecks(CustomLogger):  # type: ignore[misc]  # LiteLLM is not there where this is type-checked
    """Refuses mistakes, leaves out what a route cannot do, and says why a fallback was taken."""

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: object, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Before LiteLLM chooses a deployment.

        Raises:
            Refusal: 400 for a mistake, 404 for an unknown name.
        """
        call, name = _CALLS.get(call_type), data.get("model")
        if not isinstance(name, str):
            return data
        route = routes.get(name)
        _is_local_only.set(route is not None and route.local_only)
        if call is None:
            return data
        if route is None:
            if _is_offered(name):
                return data
            message = f'The model "{name}" does not exist. GET /v1/models lists the names.'
            raise Refusal(404, "model_not_found", message, "model")
        try:
            correct(call, data, name, route.mode, route.abilities)
        except Mistake as mistake:
            raise Refusal(400, mistake.code, mistake.message, mistake.param) from None
        return data

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: object,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[dict[str, Any]]:
        """Before LiteLLM chooses one of a route's deployments, also of a fallback's.

        Raises:
            ContextWindowExceededError: they would answer a part of this request, or nothing, as if it were all. The
                fallbacks for too long requests are tried then.
        """
        route = routes.get(model)
        body = {**(request_kwargs or {}), **({"messages": messages} if messages else {})}
        if route is not None and not _fits(body, route.abilities):
            raise litellm.ContextWindowExceededError(
                message=f'The request is too long for "{model}", which takes {route.abilities.context_size} tokens.',
                model=model,
                llm_provider="",
            )
        if _is_local_only.get():
            return [each for each in healthy_deployments if _stays_here(each["model_info"], each["litellm_params"])]
        return healthy_deployments

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: CallTypes | None
    ) -> dict[str, Any] | None:
        """Before a deployment is asked, also a fallback's.

        Raises:
            BadRequestError: the request would leave the host, and may not.
        """
        if _is_local_only.get() and not _stays_here(kwargs.get("model_info"), kwargs):
            raise litellm.BadRequestError(
                message="This request may not leave the host.", model=str(kwargs.get("model")), llm_provider=""
            )
        call = without_clients_own(kwargs)
        return with_request_id(call or kwargs, call_type.value if call_type else "") or call

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """Before an error is sent, once it is logged. LiteLLM sends `message`; an exception returned here instead would
        lose its headers, break off a stream that has begun, and not be used for Anthropic's API."""
        if isinstance(original_exception, (ProxyException, HTTPException)):
            return
        kind, name = type(original_exception).__name__, str(request_data.get("model"))
        if isinstance(original_exception, RouterRateLimitError):
            # Otherwise it is known by its words.
            original_exception.status_code = 429
        message = getattr(original_exception, "message", None)
        original_exception.message = plain(name, str(message or original_exception), kind)  # type: ignore[attr-defined]

    async def log_success_fallback_event(
        self, original_model_group: str, kwargs: dict[str, Any], original_exception: Exception
    ) -> None:
        _say_fallback(original_model_group, kwargs, original_exception, answered=True)

    async def log_failure_fallback_event(
        self, original_model_group: str, kwargs: dict[str, Any], original_exception: Exception
    ) -> None:
        _say_fallback(original_model_group, kwargs, original_exception, answered=False)


_is_local_only: ContextVar[bool] = ContextVar("is_local_only", default=False)
"""Whether the request under way asked for a route whose requests stay here: also in its fallbacks, and in the streams
of their answers."""


def _stays_here(info: object, parameters: Mapping[str, Any]) -> bool:
    deployment = info.get("id") if isinstance(info, Mapping) else None
    return isinstance(deployment, str) and routes.stays_here(deployment, parameters.get("api_base"))


def _is_offered(name: str) -> bool:
    """Whether LiteLLM knows it beside the routes, as it does the canary."""
    from litellm.proxy.proxy_server import llm_router  # made after this module is imported

    return llm_router is not None and name in llm_router.get_model_names()


def _fits(body: Mapping[str, Any], abilities: Abilities) -> bool:
    size = abilities.context_size
    # A token has at least one character, so most requests need not be counted.
    if size is None or not abilities.cuts_silently or characters(body) <= size:
        return True
    return _tokens(body) <= size


def _tokens(body: Mapping[str, Any]) -> int:
    """By LiteLLM's tokenizer, which is not the model's: a request close to the limit may be taken for too long."""
    texts: list[str] = []
    _collect(
        {field: body.get(field) for field in ("messages", "input", "prompt", "system", "instructions", "tools")}, texts
    )
    return int(litellm.token_counter(model="", text="\n".join(texts)))


def _collect(value: object, texts: list[str]) -> None:
    if isinstance(value, str) and not value.startswith("data:"):
        texts.append(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, texts)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            _collect(item, texts)


def _say_fallback(asked: str, kwargs: Mapping[str, Any], error: Exception, *, answered: bool) -> None:
    """One line for each fallback: LiteLLM itself writes none."""
    line = {
        "event": "fallback",
        "request": kwargs.get("litellm_call_id"),
        "asked": asked,
        "tried": kwargs.get("model"),
        "answered": answered,
        "why": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}",
    }
    print(json.dumps(line), flush=True)


_CLIENTS_FAULTS = (400, 405, 409, 411, 413, 415, 422)
"""Statuses by which a server blames the request: a fallback would be sent the same one. Not 404: a server that has lost
its model says that, too."""


def is_refusal(error: Exception) -> bool:
    """Whether a server that works has said no to what was asked."""
    return getattr(error, "status_code", None) in _CLIENTS_FAULTS


def is_clients_fault(error: Exception) -> bool:
    """Whether an error shows nothing but a mistake of the client. A request that is too long for one model, or whose
    content one refuses, may suit another: for those a route has fallbacks of its own."""
    may_suit_others = (litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError)
    return is_refusal(error) and not isinstance(error, may_suit_others)


_refusals: ContextVar[list[Exception] | None] = ContextVar("refusals", default=None)
"""What servers have said against the request under way: none before the first one has failed."""


def _keep_mistakes_from_fallbacks() -> None:
    """LiteLLM tries fallbacks after any error, and has no setting against that but a field of each request. If none
    answers, it sends the first error: also that of a dead server, where a fallback has refused a mistake."""
    original = Router.async_function_with_fallbacks_common_utils

    @functools.wraps(original)
    async def fall_back(
        self: Router,
        e: Exception,
        disable_fallbacks: bool | None,
        fallbacks: list[Any] | None,
        context_window_fallbacks: list[Any] | None,
        content_policy_fallbacks: list[Any] | None,
        model_group: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        # Called for a fallback that fails too, within the call for the first failure.
        refusals, is_first = _refusals.get(), False
        if refusals is None:
            refusals, is_first = [], True
            _refusals.set(refusals)
        if is_refusal(e):
            refusals.append(e)
        if is_clients_fault(e):
            disable_fallbacks = True
        elif isinstance(e, litellm.ContextWindowExceededError) and (route := routes.get(model_group or "")):
            # Those that take more, which may change without a restart.
            disable_fallbacks = disable_fallbacks or not route.context_window_fallbacks
            context_window_fallbacks = [{model_group: list(route.context_window_fallbacks)}]
        lists = (fallbacks, context_window_fallbacks, content_policy_fallbacks)
        try:
            return await original(self, e, disable_fallbacks, *lists, model_group, *args, **kwargs)
        except Exception as error:
            if not is_first or not refusals:
                raise
            raise refusals[0] from error
        finally:
            if is_first:
                _refusals.set(None)

    Router.async_function_with_fallbacks_common_utils = fall_back


def _refuse_answers_without_a_word() -> None:
    """llama-cpp-python ends the stream of a request that is too long without any event, and LiteLLM adds a last one as
    if it were a whole answer. `_fits` finds most such requests, but does not have the model's tokenizer."""
    original = CustomStreamWrapper.finish_reason_handler

    @functools.wraps(original)
    def finish(self: CustomStreamWrapper) -> Any:
        began = self.received_finish_reason or self.intermittent_finish_reason or self.sent_first_chunk
        if not began:
            raise litellm.ContextWindowExceededError(
                message="The server gave no answer: the request may be too long for it.",
                model=self.model,
                llm_provider="",
            )
        return original(self)

    CustomStreamWrapper.finish_reason_handler = finish


_keep_mistakes_from_fallbacks()
_refuse_answers_without_a_word()
quiet_logs()
routes = Routes(Path(os.environ[MODELS_VARIABLE]))
checks = RequestChecks()
