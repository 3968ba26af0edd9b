"""Whose request it is, and what that client may do. LiteLLM calls `admit` for each request (`custom_auth`).

The front has checked the client's key. It sends the key of the instances, and the client's name in a header.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from fastapi import Request
from litellm.proxy import proxy_server
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import enforce_key_and_fallback_model_access
from litellm.proxy.common_utils.http_parsing_utils import _read_request_body
from litellm.types.router import CredentialLiteLLMParams
from litellm.types.utils import is_litellm_owned_kwarg

from roles.contract.clients import Limits
from roles.contract.holders import MASTER
from roles.litellm.requests.budgets import is_spent, out_of_budget
from roles.litellm.requests.clients import DeclaredClients
from roles.litellm.requests.counter import usage
from roles.litellm.requests.fields import not_for_clients
from roles.litellm.requests.names import CLIENT_HEADER, INSTANCE_KEY_VARIABLE, LIMITS_VARIABLE
from roles.litellm.requests.refusal import Refusal
from roles.litellm.requests.usage import Spender

_KEY = os.environ.get(INSTANCE_KEY_VARIABLE, "")
"""What the front sends."""
_clients = DeclaredClients(Path(os.environ[LIMITS_VARIABLE]))


async def admit(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    """Who sends a request.

    Raises:
        Refusal: the key is not the instances', the client is not declared, it may not use the model, it chooses what
            is not its to choose, or it has spent its budget.
    """
    if not _KEY or not hmac.compare_digest((api_key or "").encode(), _KEY.encode()):
        raise _wrong_key()
    # A request without it comes from this host: only root and the front have the key.
    name = request.headers.get(CLIENT_HEADER, MASTER)
    if name == MASTER:
        await _check_fields(request)
        return UserAPIKeyAuth(api_key=name, key_alias=name, user_role=LitellmUserRoles.PROXY_ADMIN)
    client = _clients.get(name)
    if client is None:
        # Its key is about to be refused by the front, too.
        raise _wrong_key()
    admitted = UserAPIKeyAuth(
        # LiteLLM counts a client's requests by this, and names it where it refuses one. A new key has the same limits.
        api_key=name,
        key_alias=name,
        user_role=LitellmUserRoles.INTERNAL_USER,
        models=list(client.models),
        rpm_limit=client.rpm,
        tpm_limit=client.tpm,
        max_parallel_requests=client.max_parallel,
    )
    try:
        await _check_fields(request)
        if client.models:
            await _check_models(client, admitted, request)
        asks = request.method == "POST"
        if asks and client.budget and await is_spent(client.budget, Spender(client=name), usage):
            spent = f"You exceeded your current quota: the {client.budget.usd:g} US dollars"
            raise out_of_budget(client.budget, spent)
    except Refusal as refusal:
        refusal.client = name
        raise
    return admitted


async def _check_fields(request: Request) -> None:
    """Raises `Refusal` if the request chooses where it goes, by which key, or who hears of it. On each path: LiteLLM
    calls the hook for most of them alone."""
    if request.method != "POST":
        return
    body = await _read_request_body(request)
    field = not_for_clients(body, _is_litellms)
    if field == "model":
        raise Refusal(400, "invalid_value", "`model` must be the name of a model.", field)
    if field is not None:
        message = f"`{field}` is not for clients of this endpoint: whoever runs it decides that."
        raise Refusal(400, "unsupported_parameter", message, field)
    # LiteLLM checks the one in the body, and then takes that of the path or the query.
    if len({name for name in (body.get("model"), *_names_beside(request)) if name}) > 1:
        raise Refusal(400, "invalid_value", "The address and the body name different models: name one.", "model")


def _names_beside(request: Request) -> list[str]:
    """The models that the address of a request names."""
    path = request.path_params.get("model")
    return [*([path] if path else []), *request.query_params.getlist("model")]


def _is_litellms(field: str) -> bool:
    return is_litellm_owned_kwarg(field) or field in CredentialLiteLLMParams.model_fields


async def _check_models(client: Limits, admitted: UserAPIKeyAuth, request: Request) -> None:
    """Raises `Refusal` if the request names a model, also as its own fallback, that the client may not use."""
    for name in _names_beside(request):
        if name not in client.models:
            raise _no_such_model(name)
    body = await _read_request_body(request)
    try:
        await enforce_key_and_fallback_model_access(
            valid_token=admitted,
            request_data=body,
            route=request.url.path,
            request=request,
            llm_model_list=proxy_server.llm_model_list,
            llm_router=proxy_server.llm_router,
        )
    except ProxyException:
        # LiteLLM's own message lists what the client may use.
        raise _no_such_model(body.get("model")) from None


def _wrong_key() -> Refusal:
    return Refusal(401, "invalid_api_key", "Incorrect API key provided.")


def _no_such_model(name: object) -> Refusal:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return Refusal(404, "model_not_found", message, "model")
