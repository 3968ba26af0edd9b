"""The cells of the two tables, and all figures for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.requests.compare import Compared, Comparison, Round, Written, p99
from tests.bench.requests.throughput import Rates

COMPARISON_TITLES = ("", "", "before", "after", "after ÷ before")
THROUGHPUT_TITLES = ("instances", "plain/s", "LiteLLM's cores", "chunks/s", "LiteLLM's cores")


def comparison_cells(comparison: Comparison) -> list[Sequence[str]]:
    """A row for each figure of each load."""
    rows: list[Sequence[str]] = []
    for each in comparison.loads:
        rows += [("" if place else each.load.name, *cells) for place, cells in enumerate(_figures(each))]
    before, after = comparison.idle
    rows.append(("no requests", "journal, a minute", _lines(before), _lines(after), ""))
    return rows


def _figures(each: Compared) -> Iterator[Sequence[str]]:
    scale, unit = 1000 / each.load.units, each.load.unit

    def row(name: str, figure: Callable[[Round], float], factor: float = 1000, form: str = ".2f") -> Sequence[str]:
        medians = [statistics.median(map(figure, rounds)) * factor for rounds in (each.before, each.after)]
        return (name, *(f"{value:{form}} ms" for value in medians), f"{each.ratio(figure):.2f}")

    yield row(f"CPU, a {unit}", lambda round_: round_.cpu, scale, ".3f")
    yield row("… LiteLLM", lambda round_: round_.litellm, scale, ".3f")
    yield row("… HAProxy", lambda round_: round_.front, scale, ".3f")
    what = "between chunks, " if each.load.pause else ""
    if each.load.streamed:
        yield row("first chunk, p50", lambda round_: round_.first_p50)
    yield row(f"{what}p50", lambda round_: round_.p50)
    late = [f"{p99(rounds) * 1000:.2f} ms" for rounds in (each.before, each.after)]
    yield (f"{what}p99", *late, f"{each.p99_ratio:.2f}")
    yield ("journal, 1,000 successes", *(_lines(_of_a_thousand(rounds)) for rounds in (each.before, each.after)), "")


def _of_a_thousand(rounds: Sequence[Round]) -> Written:
    answers = sum(len(each.answers) for each in rounds)
    lines, size = (sum(getattr(each.written, name) for each in rounds) for name in ("lines", "size"))
    return Written(round(1000 * lines / answers), round(1000 * size / answers))


def _lines(written: Written) -> str:
    return f"{written.lines} lines, {written.size / 1000:.1f} kB"


def throughput_cells(rates: Sequence[Rates]) -> list[Sequence[str]]:
    return [
        (
            str(each.instances),
            _range(each.plain),
            f"{each.plain_cores:.2f}",
            _range(each.chunks),
            f"{each.chunk_cores:.2f}",
        )
        for each in rates
    ]


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def as_json(comparison: Comparison, rates: Sequence[Rates]) -> dict[str, Any]:
    """Without the single answers, but for their percentiles."""
    return {
        "before": comparison.before,
        "loads": [
            {
                "load": asdict(each.load),
                "p99_seconds": {name: p99(rounds) for name, rounds in _named(each)},
                "rounds": {name: [_round(round_) for round_ in rounds] for name, rounds in _named(each)},
            }
            for each in comparison.loads
        ],
        "idle_minute": [asdict(each) for each in comparison.idle],
        "throughput": [asdict(each) for each in rates],
    }


def _named(each: Compared) -> tuple[tuple[str, tuple[Round, ...]], ...]:
    return (("before", each.before), ("after", each.after))


def _round(each: Round) -> dict[str, Any]:
    return {
        "litellm_cpu_seconds": each.litellm,
        "haproxy_cpu_seconds": each.front,
        "p50_seconds": each.p50,
        "first_p50_seconds": each.first_p50,
        "answers": len(each.answers),
        "written": asdict(each.written),
    }
