"""What NVIDIA's cards are doing, in Prometheus' text format: what `nvidia-smi` says of them at this moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from roles.host.programs.gpu.nvidia import nvidia_cards
from roles.host.programs.gpu.nvidia_smi import ask

Row: TypeAlias = Mapping[str, str]
"""A card: field of `nvidia-smi --query-gpu` → what it says."""


class MetricsError(Exception):
    """The driver's tool says nothing of any card: the message says why, and how to fix it."""


class _Figure(NamedTuple):
    """A field with a number.

    Attributes:
        scale: from its unit to that of the metric.
    """

    field: str
    metric: str
    text: str
    scale: float = 1
    kind: str = "gauge"


_MIB = 1 << 20
_ABOUT = ("index", "uuid", "name", "driver_version")
_FIGURES = (
    _Figure("memory.total", "memory_bytes", "All memory of a card, also what its driver keeps.", _MIB),
    _Figure("memory.used", "memory_used_bytes", "What programs use of it.", _MIB),
    _Figure("utilization.gpu", "utilization_ratio", "Share of the last moment in which it computed anything.", 0.01),
    _Figure("temperature.gpu", "temperature_celsius", "How hot its processor is."),
    _Figure("temperature.gpu.tlimit", "temperature_left_celsius", "How much hotter it may be before it slows down."),
    _Figure("power.draw", "power_watts", "What it draws."),
    _Figure("enforced.power.limit", "power_limit_watts", "What it may draw."),
    _Figure(
        "ecc.errors.uncorrected.volatile.total",
        "uncorrected_errors_total",
        "Errors of its memory that could not be corrected, since its driver was loaded.",
        kind="counter",
    ),
)
_THROTTLE, _EVENT = "clocks_throttle_reasons.", "clocks_event_reasons."
"""Drivers before 535 know the first name alone, those that were seen (up to 610) both."""
_REASONS = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown", "sw_power_cap")
_STATES = {"Active": "1", "Not Active": "0"}

FIELDS = (*_ABOUT, *(figure.field for figure in _FIGURES), *(f"{_THROTTLE}{reason}" for reason in _REASONS))
"""What is asked of a driver that knows all of it."""

_REFUSED = re.compile(r'Field "([^"]+)" is not a valid field to query')
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")


class CardReader:
    """Reads the cards, time and again. It does not ask a second time for what the driver does not know.

    Attributes:
        fields: what it asks for.
    """

    def __init__(self) -> None:
        self.fields: list[str] = [*FIELDS]

    def metrics(self, end: float, root: Path = Path("/")) -> str:
        """The text of the page.

        Args:
            end: the deadline, in seconds of the monotonic clock.

        Raises:
            MetricsError: nothing is known of any card.
        """
        rows = rows_of(self._said(end) or "", self.fields)
        if not rows:
            raise MetricsError(nvidia_cards(root, end)["problem"] or "nvidia-smi shows no card")
        return page(rows)

    def _said(self, end: float) -> str | None:
        while True:
            said = ask(end, f"--query-gpu={','.join(self.fields)}", "--format=csv,noheader,nounits")
            refused = _REFUSED.search(said or "")
            if refused is None or refused[1] not in self.fields:
                return said
            place = self.fields.index(refused[1])
            other = refused[1].replace(_THROTTLE, _EVENT)
            self.fields[place : place + 1] = [other] if other != refused[1] else []


def rows_of(said: str, fields: Sequence[str]) -> list[Row]:
    """The cards in the output of `nvidia-smi`, which may have other lines too."""
    rows = ([value.strip() for value in line.split(",")] for line in said.splitlines())
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields) and row[0].isdecimal()]


def page(cards: Sequence[Row]) -> str:
    """A metric is left out where the driver has no figure: `[N/A]`, `[Not Supported]`, `[GPU is lost]` and the like."""
    lines: list[str] = []

    def family(metric: str, kind: str, text: str, samples: Sequence[tuple[Row, Mapping[str, str], str]]) -> None:
        if samples:
            lines.append(f"# HELP ai_backend_card_{metric} {text}\n# TYPE ai_backend_card_{metric} {kind}\n")
        for card, more, value in samples:
            labels = {"card": card["index"], "uuid": card["uuid"], **more}
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"ai_backend_card_{metric}{{{shown}}} {value}\n")

    family(
        "info",
        "gauge",
        "Which card it is.",
        [(card, {"name": card.get("name", ""), "driver": card.get("driver_version", "")}, "1") for card in cards],
    )
    for figure in _FIGURES:
        numbers = [(card, card.get(figure.field, "")) for card in cards]
        family(
            figure.metric,
            figure.kind,
            figure.text,
            [(card, {}, f"{float(said) * figure.scale:.15g}") for card, said in numbers if _NUMBER.fullmatch(said)],
        )
    family(
        "throttled",
        "gauge",
        "Whether it is slower than it could be, for this reason: 1 it is, 0 it is not.",
        [
            (card, {"reason": reason}, _STATES[said])
            for card in cards
            for reason in _REASONS
            if (said := card.get(f"{_THROTTLE}{reason}") or card.get(f"{_EVENT}{reason}")) in _STATES
        ],
    )
    return "".join(lines)


def _escaped(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown.replace("\\", "\\\\").replace('"', '\\"')
