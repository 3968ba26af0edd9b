"""The metrics of the cards: the real program on what real drivers said (`gpu_recordings/README.md`)."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from roles.host.programs.gpu.metrics import FIELDS, CardReader, MetricsError
from tests.gpu_program import write_gpu_program
from tests.labhost.paths import REPOSITORY
from tests.metrics_tool import write_metrics_tool
from tests.ports import free_port

RECORDINGS = REPOSITORY / "tests/unit/gpu_recordings"
CASES = sorted(path.parent.name for path in RECORDINGS.glob("*/query-metrics"))
CARD = 'card="0",uuid="GPU-00000000-0000-0000-0000-000000000000"'
THROTTLE, EVENT = "clocks_throttle_reasons.", "clocks_event_reasons."
L40S = f"""\
# HELP ai_backend_card_info Which card it is.
# TYPE ai_backend_card_info gauge
ai_backend_card_info{{{CARD},name="NVIDIA L40S",driver="595.80"}} 1
# HELP ai_backend_card_memory_bytes All memory of a card, also what its driver keeps.
# TYPE ai_backend_card_memory_bytes gauge
ai_backend_card_memory_bytes{{{CARD}}} 48305799168
# HELP ai_backend_card_memory_used_bytes What programs use of it.
# TYPE ai_backend_card_memory_used_bytes gauge
ai_backend_card_memory_used_bytes{{{CARD}}} 1294991360
# HELP ai_backend_card_utilization_ratio Share of the last moment in which it computed anything.
# TYPE ai_backend_card_utilization_ratio gauge
ai_backend_card_utilization_ratio{{{CARD}}} 0.09
# HELP ai_backend_card_temperature_celsius How hot its processor is.
# TYPE ai_backend_card_temperature_celsius gauge
ai_backend_card_temperature_celsius{{{CARD}}} 54
# HELP ai_backend_card_temperature_left_celsius How much hotter it may be before it slows down.
# TYPE ai_backend_card_temperature_left_celsius gauge
ai_backend_card_temperature_left_celsius{{{CARD}}} 34
# HELP ai_backend_card_power_watts What it draws.
# TYPE ai_backend_card_power_watts gauge
ai_backend_card_power_watts{{{CARD}}} 110.23
# HELP ai_backend_card_power_limit_watts What it may draw.
# TYPE ai_backend_card_power_limit_watts gauge
ai_backend_card_power_limit_watts{{{CARD}}} 350
# HELP ai_backend_card_uncorrected_errors_total Errors of its memory that could not be corrected, since its driver was \
loaded.
# TYPE ai_backend_card_uncorrected_errors_total counter
ai_backend_card_uncorrected_errors_total{{{CARD}}} 0
# HELP ai_backend_card_throttled Whether it is slower than it could be, for this reason: 1 it is, 0 it is not.
# TYPE ai_backend_card_throttled gauge
ai_backend_card_throttled{{{CARD},reason="hw_slowdown"}} 0
ai_backend_card_throttled{{{CARD},reason="hw_thermal_slowdown"}} 0
ai_backend_card_throttled{{{CARD},reason="hw_power_brake_slowdown"}} 0
ai_backend_card_throttled{{{CARD},reason="sw_thermal_slowdown"}} 0
ai_backend_card_throttled{{{CARD},reason="sw_power_cap"}} 0
"""


class Driver:
    """A host's driver, by what its tool says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bin, self._root = folder / "bin", folder / "root"
        self._bin.mkdir()
        self._asked = self._bin / "asked"
        self.reader = CardReader()
        monkeypatch.setenv("PATH", f"{self._bin}:/usr/bin:/bin")

    def says(self, case: str, replaced: Mapping[str, str] | None = None, *, unknown: Collection[str] = ()) -> Driver:
        self._asked = write_metrics_tool(
            self._bin, RECORDINGS / case / "query-metrics", unknown=unknown, replaced=replaced
        )
        return self

    def is_script(self, script: str) -> Driver:
        tool = self._bin / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        return self

    def has_module(self) -> Driver:
        version = self._root / "proc/driver/nvidia/version"
        version.parent.mkdir(parents=True)
        version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Release Build\n")
        return self

    @property
    def questions(self) -> list[str]:
        return self._asked.read_text().splitlines()

    def page(self, seconds: float = 30) -> str:
        return self.reader.metrics(time.monotonic() + seconds, self._root)

    def figures(self) -> dict[str, str]:
        """Metric, with its reason if it has one → value, of the only card."""
        found = re.findall(r"^ai_backend_card_(\w+)\{[^}]*?(?:reason=\"(\w+)\")?\} (\S+)$", self.page(), re.MULTILINE)
        return {f"{name}/{reason}".rstrip("/"): value for name, reason, value in found}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(tmp_path, monkeypatch)


def test_what_a_driver_says_of_a_card_is_shown_in_units_of_prometheus(driver: Driver) -> None:
    assert driver.says("hidden_processes").page() == L40S


@pytest.mark.parametrize("case", CASES)
def test_each_recorded_driver_knows_each_field_that_is_asked_for(driver: Driver, case: str) -> None:
    """So a lab host may print the recording as it is."""
    assert (RECORDINGS / case / "query-metrics").read_text().splitlines()[0] == ",".join(FIELDS)
    figures = driver.says(case).figures()
    assert len(driver.questions) == 1
    assert {"memory_bytes", "memory_used_bytes", "temperature_celsius", "power_watts"} <= figures.keys()


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        pytest.param("one_card", {"temperature_left_celsius", "uncorrected_errors_total"}, id="no ECC"),
        pytest.param("mig", {"utilization_ratio"}, id="divided by MIG"),
        pytest.param("memory_held", set(), id="it has all"),
    ],
)
def test_what_a_card_does_not_have_is_left_out(driver: Driver, case: str, missing: set[str]) -> None:
    every = {*re.findall("TYPE ai_backend_card_(\\w+)", L40S)}
    assert every - {*re.findall("TYPE ai_backend_card_(\\w+)", driver.says(case).page())} == missing


@pytest.mark.parametrize(
    "word", ["[Not Supported]", "[GPU is lost]", "[Unknown Error]", "ERR!", "nan", "1e9", "0x1", ""]
)
def test_words_in_place_of_a_figure_leave_it_out(driver: Driver, word: str) -> None:
    figures = driver.says("hidden_processes", {" 110.23": f" {word}", "Not Active": word}).figures()
    assert "power_watts" not in figures
    assert not [name for name in figures if "throttled" in name]
    assert figures["temperature_celsius"] == "54"


def test_a_card_that_is_hot_slow_and_faulty_says_so(driver: Driver) -> None:
    well, sick = "0, Not Active, Not Active, Not Active, Not Active,", "2, Active, Active, Not Active, Active,"
    found = driver.says("hidden_processes", {well: sick}).figures()
    assert found["uncorrected_errors_total"] == "2"
    assert {name: value for name, value in found.items() if "throttled" in name} == {
        "throttled/hw_slowdown": "1",
        "throttled/hw_thermal_slowdown": "1",
        "throttled/hw_power_brake_slowdown": "0",
        "throttled/sw_thermal_slowdown": "1",
        "throttled/sw_power_cap": "0",
    }


def test_an_older_driver_is_not_asked_again_for_what_it_does_not_know(driver: Driver) -> None:
    older = ("temperature.gpu.tlimit", *(f"{EVENT}{field.partition('.')[2]}" for field in FIELDS if THROTTLE in field))
    page = driver.says("hidden_processes", unknown=older).page()
    assert page == re.sub(r".*temperature_left.*\n", "", L40S)
    assert driver.page() == page
    assert [len(question.split(",")) for question in driver.questions] == [17, 16, 16]


def test_a_newer_driver_that_dropped_the_old_names_is_asked_by_the_new_ones(driver: Driver) -> None:
    dropped = [field for field in FIELDS if field.startswith(THROTTLE)]
    assert driver.says("hidden_processes", unknown=dropped).page() == L40S
    assert driver.page() == L40S
    assert driver.questions[-1] == ",".join(FIELDS).replace(THROTTLE, EVENT)


def test_a_driver_that_knows_nothing_of_throttling_is_asked_for_the_rest(driver: Driver) -> None:
    reasons = [field for field in FIELDS if field.startswith(THROTTLE)]
    unknown = [*reasons, *(field.replace(THROTTLE, EVENT) for field in reasons)]
    assert driver.says("hidden_processes", unknown=unknown).page() == re.sub(r".*throttled.*\n", "", L40S)


def test_cards_that_answer_are_shown_beside_one_that_does_not(driver: Driver) -> None:
    text = (RECORDINGS / "hidden_processes/query-metrics").read_text().splitlines()[1]
    lost = "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error"
    second = text.replace("0, GPU-", "2, GPU-", 1).replace("000000000000,", "000000000002,")
    page = driver.is_script(f"cat <<END\n{lost}\n{text}\n{second}\nEND").page()
    assert re.findall(r'_temperature_celsius\{card="(\d)",uuid="GPU-\S+(\d)"} 54\n', page) == [("0", "0"), ("2", "2")]


def test_no_name_of_a_card_breaks_the_format(driver: Driver) -> None:
    page = driver.says("hidden_processes", {"NVIDIA L40S": 'a "b" \\ \x1b[1m'}).page()
    assert 'name="a \\"b\\" \\\\ ?[1m"' in page


@pytest.mark.parametrize(
    ("case", "told"),
    [("mismatch", "reboot the host"), ("not_permitted", "start it again"), ("no_devices", "no card answers")],
)
def test_a_driver_that_does_not_work_is_an_error_with_its_fix(driver: Driver, case: str, told: str) -> None:
    driver.has_module().is_script(f"cat {RECORDINGS}/{case}/query-gpu")
    with pytest.raises(MetricsError, match=re.escape(told)):
        driver.page()


def test_a_driver_that_hangs_is_an_error_within_the_time_of_a_reading(driver: Driver) -> None:
    driver.has_module().is_script("sleep 60")
    started = time.monotonic()
    with pytest.raises(MetricsError, match="the driver hangs"):
        driver.page(seconds=0.5)
    assert time.monotonic() - started < 5


# The page


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The program `gpu serve`, as its unit starts it; gives its port."""
    port = free_port()
    command = [sys.executable, "-I", "-S", str(write_gpu_program(folder / "generation")), "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ})
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                get(port, "/")
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("Content-Type")
    finally:
        connection.close()


def test_each_request_for_the_page_asks_the_driver_and_no_other_does(driver: Driver, tmp_path: Path) -> None:
    driver.says("hidden_processes")
    with served(tmp_path) as (port, _):
        assert get(port, "/metrics") == (200, L40S, "text/plain; version=0.0.4; charset=utf-8")
        driver.says("hidden_processes", {" 54,": " 61,"})
        assert "_temperature_celsius{" + CARD + "} 61\n" in get(port, "/metrics")[1]
        assert [get(port, path)[0] for path in ("/", "/metrics/x")] == [200, 404]
        assert len(driver.questions) == 2


def test_what_is_wrong_is_answered_each_time_and_written_into_the_journal_once(driver: Driver, tmp_path: Path) -> None:
    driver.is_script("echo 'GPU access blocked by the operating system'")
    with served(tmp_path) as (port, process):
        answers = [get(port, "/metrics") for _ in range(2)]
        driver.says("hidden_processes")
        assert get(port, "/metrics")[0] == 200
        process.kill()
        assert process.stdout
        lines = process.stdout.read().splitlines()
    assert {(status, kind) for status, _, kind in answers} == {(503, "text/plain; charset=utf-8")}
    assert lines == [answers[0][1].strip(), "the cards are read again"]


def test_a_port_that_is_taken_ends_it_with_a_message(driver: Driver, tmp_path: Path) -> None:
    driver.says("hidden_processes")
    with served(tmp_path) as (port, _):
        command = [sys.executable, str(tmp_path / "generation/bin/gpu"), "serve", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert done.stderr == f"port {port} of 127.0.0.1 cannot be had (Address already in use): free it\n"
