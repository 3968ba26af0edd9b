"""The bench of requests: its stand-in, its clients, and the gateway that it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from tests.bench.errors import BenchError
from tests.bench.requests.clients import Answer, Load, ask, percentile
from tests.bench.requests.compare import Compared, Comparison, Round, Written, broken_promises
from tests.bench.requests.gateway import Gateway
from tests.bench.requests.sources import tree_of
from tests.bench.requests.stand_in import listen
from tests.labhost.paths import REPOSITORY

T = TypeVar("T")

_LOAD = Load("plain", answers=2, at_once=1)


def _while_served(asking: Callable[[int], Coroutine[None, None, T]]) -> T:
    """What a client gets that is told the stand-in's port."""

    async def both() -> T:
        async with await listen(0) as server:
            return await asking(_port_of(server))

    return asyncio.run(both())


def _port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(_LOAD, id="plain"),
        pytest.param(Load("stream", answers=4, at_once=2, streamed=True, tokens=50), id="streamed"),
    ],
)
def test_the_stand_in_answers_its_clients(load: Load) -> None:
    answers = _while_served(lambda port: ask(port, "sk-any", load))
    assert len(answers) == load.answers
    assert all(0 < answer.first <= answer.whole for answer in answers)


def test_a_stream_lasts_as_long_as_its_prompt_says() -> None:
    load = Load("stream", answers=1, at_once=1, streamed=True, tokens=20, pause=10)
    (answer,) = _while_served(lambda port: ask(port, "sk-any", load))
    assert answer.first < 0.2 <= answer.whole
    assert len(answer.between) == 20
    assert percentile(answer.between, 50) >= 0.01


def test_a_refused_request_ends_the_run() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nwrong key")
        await writer.drain()

    async def asked() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            await ask(_port_of(server), "sk-any", _LOAD)

    with pytest.raises(BenchError, match=r"plain: a request was refused.*wrong key"):
        asyncio.run(asked())


def test_the_gateway_is_written_as_its_units_start_it(tmp_path: Path) -> None:
    gateway = Gateway(REPOSITORY, tmp_path / "home", 15100, 15900, tmp_path / "litellm")
    config = tmp_path / "home/.config/ai-backend"
    assert (config / "install/gateway-requests/roles/litellm/requests/hook.py").exists()
    assert f"{config}/install/litellm/bin/python" in (config / "units/litellm@a.service").read_text()
    assert "127.0.0.1:15900/v1" in (config / "litellm-unified.yaml").read_text()
    assert 'CLIENTS="bench:0"' in (config / "env/ai-backend-front.service.env").read_text()
    assert gateway.key.startswith("sk-")


def test_a_commit_that_the_clone_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="the commit no-such cannot be read"):
        tree_of("no-such", tmp_path / "tree")


def _round(seconds: float, cpu: float) -> Round:
    return Round(cpu, 0.0, (Answer(seconds, seconds),) * 2, Written(2, 200))


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        pytest.param(_round(1.04, 1.04), [], id="a little more"),
        pytest.param(
            _round(1.0, 1.06), ["plain: CPU is 1.060 times that of before, more than 1.05"], id="too much CPU"
        ),
        pytest.param(_round(0.9, 0.5), [], id="less"),
    ],
)
def test_what_costs_more_than_a_twentieth_more_is_reported(after: Round, broken: list[str]) -> None:
    compared = Compared(_LOAD, (_round(1.0, 1.0),) * 3, (after,) * 3)
    idle = (Written(0, 0), Written(0, 0))
    assert broken_promises(Comparison("before", (compared,), idle)) == broken


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (50, 75, 99)] == [2.0, 3.0, 4.0]
