"""What a run asks with: what cannot be had raises where it is asked for, and is looked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from roles.verify.generation import Gateway, Scope, Service
from roles.verify.probe.systemd import UnitState
from roles.verify.verdict.claim import CannotCheck
from tests.deployed import context, deployed

SERVICE = Service("front.service", "127.0.0.1", 4000, "http://127.0.0.1:4000/", 30, Path("/nowhere"))


def gateway(folder: Path) -> Gateway:
    key, own = folder / "key.env", folder / "own.env"
    return Gateway(SERVICE, "http://127.0.0.1:4000", key, "KEY", own, "OWN", "http://127.0.0.1:4001", cooldown=30)


def test_a_key_that_is_made_only_in_a_moment_is_read_once_it_is_there(tmp_path: Path) -> None:
    made = context(deployed(tmp_path, gateway=gateway(tmp_path)), httpx.AsyncClient())
    with pytest.raises(CannotCheck, match=r"key\.env: No such file") as raised:
        _ = made.api
    assert raised.value.code == "key-unreadable"
    (tmp_path / "key.env").write_text("KEY=sk-1\n")
    assert made.api is made.api  # one that lets so many requests through at a time
    with pytest.raises(CannotCheck, match=r"own\.env"):
        _ = made.instance_api


def test_without_a_gateway_there_is_no_api(tmp_path: Path) -> None:
    made = context(deployed(tmp_path), httpx.AsyncClient())
    assert made.cooldown == 0
    for ask in (lambda: made.gateway, lambda: made.api, lambda: made.instance_api, lambda: made.api_with(None)):
        with pytest.raises(CannotCheck, match=r"providers\.yaml names no gateway"):
            ask()


def test_a_unit_of_which_systemd_says_nothing_cannot_be_checked(tmp_path: Path) -> None:
    asked: list[tuple[Sequence[str], Scope]] = []

    async def read(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
        asked.append((units, scope))
        return {}

    made = context(replace(deployed(tmp_path), scope="user"), httpx.AsyncClient(), read_states=read)
    with pytest.raises(CannotCheck, match="systemd said nothing about it"):
        asyncio.run(made.state("a.service"))
    assert asked == [(["a.service"], "user")]
