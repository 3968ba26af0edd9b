"""The page of the cards' metrics, recorded, and held against the document of the driver's tool."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests.gpu.driver_tool import mask, recorder
from tests.gpu.steps import StepError
from tests.ports import free_port

_MIB = 1 << 20
_LONGEST_ANSWER = 60.0
_REASONS = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown", "sw_power_cap")
_WARMER, _MORE_MEMORY = 10, 64 * _MIB
"""Degrees and bytes by which two looks a moment apart may differ."""


def recorded_page(program: Path, folder: Path, hidden: Mapping[str, str]) -> str:
    """What the program `gpu` of a generation shows, and what the driver's tool said for it: `query-metrics` in the
    folder, with the fields in its first line."""
    with recorder(folder) as path, _served(program, path) as port:
        page = _page(port)
    asked = folder / "asked"
    said = folder / "query-metrics"
    said.write_text(asked.read_text().removeprefix("--query-gpu=") + said.read_text())
    asked.unlink()
    # The others are masked already, with cards in the same order.
    mask(folder, hidden, ("query-metrics",))
    return page


@contextlib.contextmanager
def _served(program: Path, path: str) -> Iterator[int]:
    """The program as its unit starts it; gives its port."""
    port = free_port()
    command = [sys.executable, "-I", "-S", str(program), "serve", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def _page(port: int) -> str:
    deadline = time.monotonic() + _LONGEST_ANSWER
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LONGEST_ANSWER)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise StepError("`gpu serve` does not listen") from None
            time.sleep(0.1)
            continue
        finally:
            connection.close()
        if answer.status != 200:
            raise StepError(f"`gpu serve` answers with status {answer.status}", text)
        return text


def figures(page: str) -> dict[str, dict[str, float]]:
    """UUID of a card → metric, with its reason if it has one → value."""
    found: dict[str, dict[str, float]] = {}
    for name, uuid, reason, value in re.findall(
        r'^ai_backend_card_(\w+)\{card="\d+",uuid="([^"]+)"(?:,reason="(\w+)"|,[^}]*)?\} (\S+)$', page, re.MULTILINE
    ):
        found.setdefault(uuid, {})[f"{name}/{reason}".rstrip("/")] = float(value)
    return found


def differing(page: str, said: str) -> list[str]:
    """Where the page says something else than the document, each in words; empty = nowhere. What changes from one
    moment to the next, as power and use, must be there in both or in none."""
    wrong: list[str] = []
    shown = figures(page)
    cards = ElementTree.fromstring(said).findall("gpu")
    if len(shown) != len(cards):
        wrong.append(f"{len(shown)} cards are shown and there are {len(cards)}")
    for card in cards:
        uuid = card.findtext("uuid", "")
        ours = shown.get(uuid, {})
        for metric, (wanted, slack) in _document_figures(card).items():
            seen = ours.get(metric)
            if (seen is None) != (wanted is None) or (
                seen is not None and wanted is not None and abs(seen - wanted) > slack
            ):
                wrong.append(f"{metric} of {uuid} is {seen} and should be {wanted}")
    return wrong


def _document_figures(card: ElementTree.Element) -> dict[str, tuple[float | None, float]]:
    """Metric → what the document says, none where it says nothing, and by how much it may differ."""
    any_more = float("inf")
    wanted: dict[str, tuple[float | None, float]] = {
        "memory_bytes": (_number(card, "fb_memory_usage/total", _MIB), 0),
        "memory_used_bytes": (_number(card, "fb_memory_usage/used", _MIB), _MORE_MEMORY),
        "utilization_ratio": (_number(card, "utilization/gpu_util", 0.01), any_more),
        "temperature_celsius": (_number(card, "temperature/gpu_temp"), _WARMER),
        "temperature_left_celsius": (_number(card, "temperature/gpu_temp_tlimit"), _WARMER),
        "power_watts": (_first(card, "average_power_draw", "power_draw", "instant_power_draw"), any_more),
        "power_limit_watts": (_first(card, "current_power_limit", "enforced_power_limit"), 0),
    }
    errors = [
        _number(element, ".")
        for element in card.iterfind("ecc_errors/volatile/*")
        if "uncorrect" in element.tag and not list(element)
    ]
    if errors:
        known = [number for number in errors if number is not None]
        wanted["uncorrected_errors_total"] = (sum(known) if known else None, 0)
    for reason in _REASONS:
        state = next(
            (
                text
                for kind in ("event", "throttle")
                if (text := card.findtext(f"clocks_{kind}_reasons/clocks_{kind}_reason_{reason}"))
            ),
            None,
        )
        # The states themselves change within a moment.
        wanted[f"throttled/{reason}"] = ({"Active": 1.0, "Not Active": 0.0}.get(state or ""), any_more)
    return wanted


def _first(card: ElementTree.Element, *names: str) -> float | None:
    found = (_number(card, f"{part}/{name}") for part in ("gpu_power_readings", "power_readings") for name in names)
    return next((number for number in found if number is not None), None)


def _number(element: ElementTree.Element, path: str, scale: float = 1) -> float | None:
    """Of `81559 MiB`, `54 C`; none for `N/A`."""
    match = re.match(r"-?\d+(\.\d+)?", (element.findtext(path) or "").strip())
    return float(match[0]) * scale if match else None
