"""Each form says what the verdict says, is valid by its schema, and is safe from what models and servers say."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from roles.contract.deployed import Deployed, DeployedProvider, DeployedRoute, Endpoint
from roles.contract.graphs import Graph, LastDay, Line
from roles.contract.verdict import SCHEMA, SCHEMA_NAME, Cause, DayUsage, Event, Fallbacks, RouteUsage, Usage
from roles.verify import EARLIER, FORMS, Check, Verdict, print_report, read_verdict
from tests.inventories import INVENTORY
from tests.verdicts import BAD, DEPLOYED, GOOD, USED, as_written, changed, earlier_runs

_HERE = Path(__file__).parent
_SCHEMA: dict[str, Any] = json.loads((INVENTORY.parent / "docs/verdict.schema.json").read_text())
_RUNS = earlier_runs(EARLIER)

_PROVIDERS_ONLY = replace(GOOD, deployment=replace(DEPLOYED, endpoint=None, routes=()), events=())
_BARE = replace(GOOD, deployment=None, events=(), checks=())

NASTY = "<script>alert(1)</script> & \"x\" 'y' ]]> `code` | [a](b) \x00\x07\x1b[31m\x85\u202eevil\ufffe 你好 $1"
NASTY += " \udcff\ud800"
"""What a model or a server may say: markup of all kinds, control characters, one that turns the text around, and halves
of surrogate pairs, as Python reads names that are no UTF-8."""

_HOSTILE = replace(
    changed(
        BAD,
        {
            "gateway/models": {
                "ok": False,
                "seen": NASTY,
                "expected": NASTY,
                "claim": NASTY,
                "subject": NASTY,
                "causes": (Cause(NASTY, NASTY),),
            }
        },
    ),
    host=NASTY,
    usage=Usage((RouteUsage(NASTY, NASTY, 1, 0, 0, 1, 1),), (RouteUsage(NASTY, NASTY, 1, 0, 0, 1, 1),), ()),
    events=(
        Event("2026-11-24T06:00:00+00:00", "failed", NASTY, NASTY, NASTY),
        Event("2026-11-24T06:01:00+00:00", "activated", "a|b", "<b>|", "|"),
    ),
    last_day=LastDay(0, 900, (Graph(NASTY, NASTY, (Line(NASTY, (None, -1.0, 1e300)),), 0),), NASTY),
)


def _text(form: str, verdict: Verdict, earlier: tuple[Verdict, ...] = ()) -> str:
    return FORMS[form].write(verdict, earlier)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "verdict", [GOOD, BAD, _HOSTILE, _PROVIDERS_ONLY, _BARE], ids=["good", "bad", "hostile", "providers only", "bare"]
)
def test_every_form_can_tell_every_verdict(form: str, verdict: Verdict) -> None:
    for earlier in ((), _RUNS):
        text = _text(form, verdict, earlier)
        assert text.endswith("\n")
        assert text.encode(), "it can be written to a file"
        assert text == _text(form, verdict, earlier)
        if verdict is not _BARE and form not in ("json", "prometheus"):
            assert all(check.claim in text for check in GOOD.checks if check.subject != "gateway")


@pytest.mark.parametrize("form", ["markdown", "html", "junit"])
def test_foreign_text_has_no_control_characters_left_in(form: str) -> None:
    text = _text(form, _HOSTILE, (replace(_HOSTILE, time=GOOD.time),))
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert "你好" in text


# --- JSON


@pytest.mark.parametrize(
    "verdict",
    [GOOD, BAD, USED, _HOSTILE, _PROVIDERS_ONLY, _BARE],
    ids=["good", "bad", "used", "hostile", "providers only", "bare"],
)
def test_the_json_is_valid_by_the_published_schema(verdict: Verdict) -> None:
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)
    document = json.loads(_text("json", verdict))
    jsonschema.validate(document, _SCHEMA, format_checker=jsonschema.FormatChecker())
    assert document["$schema"] == _SCHEMA["$id"] == SCHEMA_NAME
    assert document["schema"] == SCHEMA
    assert read_verdict(json.dumps(document)) == as_written(verdict)


@pytest.mark.parametrize(
    "kind",
    [
        *(
            Verdict,
            Check,
            Cause,
            Deployed,
            Endpoint,
            DeployedProvider,
            DeployedRoute,
            Event,
            RouteUsage,
            Fallbacks,
            Usage,
        ),
        *(LastDay, Graph, Line),
    ],
    ids=lambda kind: kind.__name__,
)
def test_the_schema_names_every_field_and_no_other(kind: type) -> None:
    assert is_dataclass(kind)
    where: Mapping[str, Any] = _SCHEMA if kind is Verdict else _SCHEMA["$defs"][kind.__name__]
    more = {"$schema", "status"} if kind is Verdict else set()
    assert {field.name for field in fields(kind)} | more == set(where["properties"])
    assert set(where["required"]) == set(where["properties"])
    assert where["additionalProperties"] is False


_DOCUMENT = GOOD.to_json()


_REFUSED = {
    "version": (f'"schema": {SCHEMA}', '"schema": 1'),
    "name": (SCHEMA_NAME, "urn:another"),
    "status": ('"status": "pass"', '"status": "fine"'),
    "length": ('"seconds": 12.481', '"seconds": -1'),
    "id": ('"id": "gateway/models"', '"id": "gateway"'),
    "truth": ('"ok": true', '"ok": "yes"'),
    "scope": ('"scope": "system"', '"scope": "world"'),
    "mode": ('"mode": "chat"', '"mode": "sing"'),
    "cooldown": ('"cooldown": 30', '"cooldown": -30'),
    "event": ('"event": "verified"', '"event": "gone"'),
    "who": ('"who": "ada@desk"', '"who": null'),
    "cache": ('"cache": null', '"cache": 7'),
    "another field": ('"kind": "vllm"', '"kind": "vllm", "more": 1'),
    "events": (json.dumps(asdict(GOOD)["events"]), json.dumps(asdict(GOOD)["events"] * 3)),
}


@pytest.mark.parametrize(("good", "bad"), _REFUSED.values(), ids=_REFUSED)
def test_the_schema_refuses(good: str, bad: str) -> None:
    assert good in _DOCUMENT
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            json.loads(_DOCUMENT.replace(good, bad, 1)), _SCHEMA, format_checker=jsonschema.FormatChecker()
        )


# --- JUnit


@pytest.mark.parametrize(
    "verdict",
    [GOOD, BAD, _HOSTILE, _BARE, replace(BAD, seconds=123456.789)],
    ids=["good", "bad", "hostile", "bare", "long"],
)
def test_the_junit_file_is_valid_by_the_schema_of_jenkins(verdict: Verdict) -> None:
    xmlschema.XMLSchema(_HERE / "junit-10.xsd").validate(_text("junit", verdict))


def test_junit_counts_what_fails_and_what_could_not_be_checked() -> None:
    schema = xmlschema.XMLSchema(_HERE / "junit-10.xsd")
    found: Any = schema.to_dict(_text("junit", BAD))
    assert (found["@tests"], found["@failures"], found["@errors"]) == ("49", "6", "1")
    cases = [case for suite in found["testsuite"] for case in suite["testcase"]]
    assert len(cases) == 49
    assert sum("failure" in case for case in cases) == 6
    assert sum("error" in case for case in cases) == 1
    (dead,) = [case for case in cases if case["@name"] == "vllm@qwen-coder.service runs"]
    assert "another process took it" in dead["failure"][0]["$"]
    assert dead["failure"][0]["@type"] == "unit-failed"
    (unknown,) = [case for case in cases if "error" in case]
    assert unknown["error"][0]["@type"] == "unknown"
    assert "check: unit/ollama.service/port\n" in unknown["error"][0]["$"]


# --- Prometheus


def _samples(verdict: Verdict) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(_text("prometheus", verdict))
    return {
        (sample.name, sample.labels.get("check", sample.labels.get("status", ""))): sample.value
        for family in families
        for sample in family.samples
    }


def test_prometheus_reads_one_for_what_holds_nought_for_what_fails_and_nan_for_what_is_unknown() -> None:
    samples = _samples(BAD)
    assert samples["ai_backend_check", "route/qwen-python/chat"] == 1
    assert samples["ai_backend_check", "route/gpt-4o/chat"] == 0
    unknown = samples["ai_backend_check", "unit/ollama.service/port"]
    assert unknown != unknown
    assert samples["ai_backend_verdict", ""] == 0
    assert _samples(GOOD)["ai_backend_verdict", ""] == 1
    assert (samples["ai_backend_checks", "fail"], samples["ai_backend_checks", "pass"]) == (6, 42)
    assert samples["ai_backend_verdict_timestamp_seconds", ""] == 1795586400
    assert samples["ai_backend_route_latency_seconds", "route/qwen-native/chat"] == 4.4
    # How long a failure took is no latency.
    assert ("ai_backend_route_latency_seconds", "route/gpt-4o/chat") not in samples


def test_prometheus_reads_any_label() -> None:
    hostile = changed(GOOD, {"gateway/models": {"subject": 'a\\b"c\nd'}})
    families = text_string_to_metric_families(_text("prometheus", hostile))
    assert 'a\\b"c\nd' in {sample.labels.get("subject") for family in families for sample in family.samples}


_COUNTERS = {
    *("ai_backend_client_requests", "ai_backend_client_errors", "ai_backend_client_tokens", "ai_backend_fallbacks"),
    "ai_backend_client_cost_dollars",
}
"""Without the `_total` that their samples have."""


def test_prometheus_has_what_each_client_used() -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(_text("prometheus", USED))
        for sample in family.samples
        if family.name in _COUNTERS
    }
    assert samples["ai_backend_client_requests_total", "build-bot", "llama3.1:latest"] == 4310
    assert samples["ai_backend_client_errors_total", "ada", "qwen-coder-vllm", "4xx"] == 3
    assert samples["ai_backend_client_errors_total", "ada", "qwen-coder-vllm", "5xx"] == 1
    assert samples["ai_backend_client_tokens_total", "ada", "qwen-coder-vllm", "out"] == 9871
    assert samples["ai_backend_client_cost_dollars_total", "ada", "qwen-coder-vllm"] == 0.0131541
    fallback = ("qwen-coder-vllm", "qwen2.5-coder:7b@ollama", "timeout")
    assert samples["ai_backend_fallbacks_total", *fallback] == 7
    assert "client" not in _text("prometheus", GOOD)
    text = _text("prometheus", USED)
    assert 'ai_backend_client_budget_dollars{client="ada",per="month"} 0.015\n' in text
    assert 'ai_backend_client_budget_spent_dollars{client="ada",per="month"} 0.0131541\n' in text


def test_the_pages_sum_usage_up_by_client_and_by_route() -> None:
    text = _text("markdown", USED)
    assert "| `ada` | 128 | 3 | 1 | 48850 | 10383 | 0.0132 |" in text
    assert "| `llama3.1:latest` | 318 | 0 | 2 | 91640 | 4912 |" in text
    assert text.index("`build-bot`") < text.index("| `ada` |"), "the most requests first"
    assert "US dollars" not in _text("markdown", replace(GOOD, usage=Usage((), (), ()))), "where nothing has a price"
    for form in ("markdown", "html"):
        assert "Usage" in _text(form, USED)
        assert "Usage" not in _text(form, GOOD)


def test_the_pages_say_what_each_day_cost_of_each_client_and_route() -> None:
    text = _text("markdown", USED)
    assert "| `2026-11-24` | 30 | 2 | 0 | 8850 | 2383 | 0.0024 |" in text
    assert text.index("| `2026-11-24` |") < text.index("| `2026-11-23` |"), "the newest first"
    assert "| client | route | 2026-11-23 | 2026-11-24 | all |" in text
    assert "| `ada` | `qwen-coder-vllm` | 0.0108 | 0.0024 | 0.0132 |" in text
    assert "| `ada` | `llama3.1:latest` |" not in text, "what costs nothing has no row"
    assert 'data-label="2026-11-23" class="number">0.0108<' in _text("html", USED)


def test_of_many_that_cost_something_those_that_cost_most_have_a_row() -> None:
    usage = USED.usage
    assert usage is not None
    days = [DayUsage("2026-11-24", f"c{number:02}", "m", 1, 0, 0, 1, 1, 1 + number) for number in range(25)]
    text = _text("markdown", replace(USED, usage=replace(usage, by_day=tuple(days))))
    assert "| `c24` | `m` | 25.0000 | 25.0000 |" in text
    assert "| `c05` | `m` |" in text
    assert "| `c04` | `m` |" not in text
    assert "And 5 more, which cost 15.0000 US dollars together." in text


def test_prometheus_has_what_the_last_days_cost_by_their_age() -> None:
    text = _text("prometheus", USED)
    line = 'ai_backend_client_day_cost_dollars{client="ada",route="qwen-coder-vllm",days_ago="%d"} %s\n'
    assert line % (1, "0.0108") in text
    assert line % (0, "0.0023541") in text
    assert text.count("\nai_backend_client_day_cost_dollars{") == 2, "what costs nothing has no series"


def test_a_budget_of_which_most_is_spent_is_warned_of() -> None:
    terminal = Console(file=io.StringIO(), width=120)
    print_report(USED, terminal)
    assert isinstance(terminal.file, io.StringIO)
    for text in (_text("markdown", USED), _text("html", USED), terminal.file.getvalue()):
        assert "client ada has spent 88% of the 0.015 US dollars for this month" in text
        assert "client build-bot has spent" not in text


def test_metrics_are_named_and_told_as_prometheus_wants_them() -> None:
    """As `promtool check metrics` does: help for each, base units, no type in a name, `_total` for counters only."""
    for family in text_string_to_metric_families(_text("prometheus", replace(BAD, usage=USED.usage))):
        assert family.documentation
        assert family.type == ("counter" if family.name in _COUNTERS else "gauge")
        assert re.fullmatch(r"ai_backend_[a-z_]+", family.name)
        assert not re.search(r"_(total|count|sum|gauge|milliseconds|ms|minutes)$", family.name)


# --- HTML


class _Elements(HTMLParser):
    """What a browser would load, run or find wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(text)
    return parser.tags


@pytest.mark.parametrize("verdict", [GOOD, BAD, _HOSTILE, _BARE], ids=["good", "bad", "hostile", "bare"])
def test_the_page_asks_for_nothing_and_runs_nothing(verdict: Verdict) -> None:
    text = _text("html", verdict, _RUNS)
    tags = _elements(text)
    assert {"script", "iframe", "img", "object", "embed", "form", "base"} & {tag for tag, _ in tags} == set()
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        if tag in ("a", "link"):
            assert attributes["href"] is not None
            assert attributes["href"].startswith("#") or attributes["href"] == "data:,"
    assert not re.search(r"url\(|@import", text)


def test_every_id_of_the_page_is_its_only_one_and_every_link_leads_to_one() -> None:
    tags = _elements(_text("html", BAD, _RUNS))
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        for name in ("href", "aria-labelledby", "for"):
            target = (attributes.get(name) or "").removeprefix("#")
            assert not target or target == "data:," or target in ids


def test_every_part_of_a_table_says_what_it_is() -> None:
    """Laid out otherwise, as on a phone, a table is none any more to some browsers."""
    roles = {
        "table": {"table"},
        "thead": {"rowgroup"},
        "tbody": {"rowgroup"},
        "tr": {"row"},
        "th": {"columnheader", "rowheader"},
        "td": {"cell"},
    }
    for tag, attributes in _elements(_text("html", BAD, _RUNS)):
        assert tag not in roles or attributes.get("role") in roles[tag], (tag, attributes)


def test_the_page_tells_the_last_runs_in_words() -> None:
    text = _text("html", BAD, _RUNS)
    assert text.count('<span class="heard">') == EARLIER + 1
    assert "2026-11-22 04:30:00 UTC: 1 of 49 checks fail" in text


# --- Markdown


def test_a_row_of_a_markdown_table_stays_one_row() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", _text("markdown", _HOSTILE, _RUNS), re.MULTILINE)
    assert len(tables) == 7
    for table in tables:
        head, *rows = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert set(rows) == {head}, table


def test_markdown_takes_foreign_text_literally() -> None:
    (line,) = [line for line in _text("markdown", BAD).splitlines() if line.startswith("- [ ]") and "script" in line]
    assert r"\<script\>" in line
    assert r"\[y\](z)" in line
    assert r"\`x\`" in line


# --- The terminal


def test_the_table_says_what_changed_and_what_may_be_the_cause() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_report(BAD, console, _RUNS)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "the card has too little free memory for the model" in " ".join(text.split())
    assert "fails now: unit/vllm@qwen-coder.service/port: nothing listens on port 8001" in text
    assert text.rstrip().splitlines()[-1].startswith("6 of 49 checks fail")
    console = Console(file=io.StringIO(), width=120)
    print_report(GOOD, console, (replace(GOOD, time="2026-11-24T05:00:00+00:00"),))
    assert isinstance(console.file, io.StringIO)
    assert "Since 2026-11-24T05:00:00+00:00: nothing changed" in console.file.getvalue()
