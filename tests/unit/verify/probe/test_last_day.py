"""What Prometheus has measured is read as it is; without an answer the page says why, and the verification goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from roles.contract.graphs import GRAPHS_FILE, Curve, LastDay, Question, Questions
from roles.contract.wire import written
from roles.verify.probe import last_day as module
from roles.verify.probe.last_day import MOST_LINES, STEP, STEPS, read_last_day
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.ports import refusing_port

NOW = 1_800_000_000.7
SINCE = 1_800_000_000 - (STEPS - 1) * STEP
QUESTION = Question(
    "Requests", "requests/s", (Curve("sum by (code) (rate(r[$window]))", "{{code}} of {{host}}"), Curve("queue", "all"))
)


def series(values: list[tuple[float, str]], **labels: str) -> dict[str, Any]:
    return {"metric": labels, "values": [list(value) for value in values]}


def answer(*found: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}).encode()


@contextmanager
def prometheus(answers: Callable[[dict[str, str]], bytes], status: int = 200) -> Iterator[str]:
    """A server in its place; its URL."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            assert url.path == "/api/v1/query_range"
            body = answers({name: value[0] for name, value in parse_qs(url.query).items()})
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who waits no longer
                self.wfile.write(body)

    with ThreadedServer("127.0.0.1", Handler) as server:
        yield server.url


def asked(folder: Path, url: str, question: Question = QUESTION) -> LastDay:
    file = folder / GRAPHS_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(written(Questions(url, (question,)))))
    day = read(folder)
    assert day is not None
    return day


def read(folder: Path) -> LastDay | None:
    async def run() -> LastDay | None:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await read_last_day(folder, client, NOW)

    return asyncio.run(run())


def test_a_host_without_monitoring_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_each_line_has_a_value_for_each_quarter_of_an_hour_and_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    requests: list[dict[str, str]] = []

    def answers(query: dict[str, str]) -> bytes:
        requests.append(query)
        if query["query"] == "queue":
            return answer()
        return answer(series([(SINCE, "1.23456"), (SINCE + 2 * STEP, "NaN"), (SINCE + 3 * STEP, "+Inf")], code="2xx"))

    with prometheus(answers) as url:
        day = asked(tmp_path, url)
    assert sorted(each["query"] for each in requests) == ["queue", "sum by (code) (rate(r[900s]))"]
    assert {(each["start"], each["end"], each["step"]) for each in requests} == {(str(SINCE), "1800000000", "900")}
    (graph,) = day.graphs
    assert (day.since, day.step, day.problem, graph.title, graph.unit) == (SINCE, 900, "", "Requests", "requests/s")
    (line,) = graph.lines
    assert line.name == "2xx of "
    assert line.values == (1.235, *[None] * (STEPS - 1))


def test_the_largest_lines_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    many = [series([(SINCE, str(number))], code=str(number)) for number in (3, 9, 1, 8, 2, 7, 6, 5, 4)]
    with prometheus(lambda query: answer(*many) if "code" in query["query"] else answer()) as url:
        (graph,) = asked(tmp_path, url).graphs
    assert [line.name for line in graph.lines] == [f"{number} of " for number in (9, 8, 7, 6, 5, 4)]
    assert (len(graph.lines), graph.more) == (MOST_LINES, 3)


@pytest.mark.parametrize(
    "body",
    [b"no JSON", b"[]", b'{"data": {}}', answer({"metric": []}), answer(series([(0, "many")])), answer({"values": 1})],
    ids=range(6),
)
def test_an_answer_that_is_none_of_prometheus_is_said_to_be_so(tmp_path: Path, body: bytes) -> None:
    with prometheus(lambda query: body) as url:
        assert asked(tmp_path, url) == LastDay(SINCE, STEP, (), "its answer is not as expected")


def test_without_an_answer_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_port() as port:
        assert asked(tmp_path, f"http://127.0.0.1:{port}").problem == "it cannot be asked: ConnectError"
    with prometheus(lambda query: answer(), 503) as url:
        assert asked(tmp_path, url).problem == "it cannot be asked: HTTPStatusError"
    monkeypatch.setattr(module, "_LONGEST", 0.2)
    began = time.monotonic()
    with prometheus(lambda query: time.sleep(1) or b"") as url:  # type: ignore[func-returns-value]
        assert asked(tmp_path, url).problem == "it did not answer within 0.2 seconds"
    assert time.monotonic() - began < 5
