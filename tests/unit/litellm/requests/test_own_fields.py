"""What a deployment's requests must have in their bodies stands, whatever a client says there."""

from __future__ import annotations

from roles.litellm.requests.own_fields import without_clients_own

ZDR = {"extra_body": {"provider": {"data_collection": "deny", "zdr": True}}}


def test_a_client_does_not_change_what_each_request_has() -> None:
    call = {"model": "openrouter/m", "messages": [], "provider": {"zdr": False, "order": ["other"]}, **ZDR}
    assert without_clients_own(call) == {"model": "openrouter/m", "messages": [], **ZDR}
    assert "provider" in call


def test_what_it_says_beside_that_stays() -> None:
    assert without_clients_own({"model": "openrouter/m", "store": True, **ZDR}) is None


def test_a_request_to_others_stays_as_it_is() -> None:
    assert without_clients_own({"model": "openai/m", "store": True, "provider": "x"}) is None
    assert without_clients_own({"model": "openai/m", "store": True, "extra_body": None}) is None
