"""The GPU check's step of the metrics, without a card: what it records, and what it finds wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roles.host.programs.gpu.metrics import FIELDS
from tests.gpu.metrics import differing, figures, recorded_page
from tests.gpu.steps import StepError
from tests.gpu_program import write_gpu_program
from tests.labhost.paths import REPOSITORY
from tests.metrics_tool import write_metrics_tool

RECORDING = REPOSITORY / "tests/unit/gpu_recordings/hidden_processes/query-metrics"
MASKED = "GPU-00000000-0000-0000-0000-000000000000"
UUID = "GPU-c2d135aa-db92-1171-9820-8b79643f6f48"
# In the form of the driver 590's, with the numbers of the recording.
DOCUMENT = f"""<?xml version="1.0" ?>
<nvidia_smi_log>
  <driver_version>595.80</driver_version>
  <gpu id="00000000:01:00.0">
    <product_name>NVIDIA L40S</product_name>
    <uuid>{UUID}</uuid>
    <clocks_event_reasons>
      <clocks_event_reason_sw_power_cap>Not Active</clocks_event_reason_sw_power_cap>
      <clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown>
      <clocks_event_reason_hw_thermal_slowdown>Not Active</clocks_event_reason_hw_thermal_slowdown>
      <clocks_event_reason_hw_power_brake_slowdown>Not Active</clocks_event_reason_hw_power_brake_slowdown>
      <clocks_event_reason_sw_thermal_slowdown>Not Active</clocks_event_reason_sw_thermal_slowdown>
    </clocks_event_reasons>
    <fb_memory_usage><total>46068 MiB</total><reserved>609 MiB</reserved><used>1235 MiB</used></fb_memory_usage>
    <utilization><gpu_util>7 %</gpu_util></utilization>
    <ecc_errors>
      <volatile>
        <sram_correctable>3</sram_correctable>
        <sram_uncorrectable_parity>0</sram_uncorrectable_parity>
        <sram_uncorrectable_secded>0</sram_uncorrectable_secded>
        <dram_uncorrectable>0</dram_uncorrectable>
      </volatile>
      <aggregate><dram_uncorrectable>9</dram_uncorrectable></aggregate>
    </ecc_errors>
    <temperature><gpu_temp>55 C</gpu_temp><gpu_temp_tlimit>33 C</gpu_temp_tlimit></temperature>
    <gpu_power_readings>
      <average_power_draw>96.10 W</average_power_draw><current_power_limit>350.00 W</current_power_limit>
    </gpu_power_readings>
  </gpu>
</nvidia_smi_log>
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the real program shows, and records below `case`."""
    path = tmp_path / "path"
    path.mkdir()
    write_metrics_tool(path, RECORDING, replaced={MASKED: UUID})
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    (tmp_path / "case").mkdir()
    # As the step before leaves it.
    (tmp_path / "case/query-gpu").write_text(f"0, {MASKED}, NVIDIA L40S\n")
    return recorded_page(write_gpu_program(tmp_path / "generation"), tmp_path / "case", {})


def test_a_recording_is_a_case_for_the_unit_tests(tmp_path: Path, page: str) -> None:
    assert figures(page).keys() == {UUID}
    assert (tmp_path / "case/query-metrics").read_text() == RECORDING.read_text()
    assert [path.name for path in sorted((tmp_path / "case").iterdir())] == ["query-gpu", "query-metrics"]


def test_a_page_that_is_that_of_the_document_differs_nowhere(page: str) -> None:
    assert differing(page, DOCUMENT) == []


@pytest.mark.parametrize(
    ("old", "new", "metric"),
    [
        ("46068 MiB", "46067 MiB", "memory_bytes"),
        ("1235 MiB", "2235 MiB", "memory_used_bytes"),
        ("7 %", "N/A", "utilization_ratio"),
        ("55 C", "75 C", "temperature_celsius"),
        ("33 C", "N/A", "temperature_left_celsius"),
        ("96.10 W", "N/A", "power_watts"),
        ("350.00 W", "300.00 W", "power_limit_watts"),
        ("parity>0<", "parity>1<", "uncorrected_errors_total"),
        ("hw_slowdown>Not Active", "hw_slowdown>N/A", "throttled/hw_slowdown"),
    ],
)
def test_each_figure_that_is_another_is_named(page: str, old: str, new: str, metric: str) -> None:
    assert [wrong.partition(" of ")[0] for wrong in differing(page, DOCUMENT.replace(old, new, 1))] == [metric]


def test_each_metric_of_a_page_is_compared(page: str) -> None:
    """So a further one cannot be forgotten here."""
    without = re.sub(r"(?m)^ai_backend_card_(?!info).*\n", "", page)
    missing = {wrong.partition(" of ")[0] for wrong in differing(without, DOCUMENT)}
    assert missing == figures(page)[UUID].keys() - {"info"}


def test_a_card_that_is_missing_is_a_difference(page: str) -> None:
    assert differing("", DOCUMENT)[0] == "0 cards are shown and there are 1"


def test_a_driver_that_says_nothing_ends_the_step_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_metrics_tool(tmp_path, RECORDING, unknown=FIELDS[:1])
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "case").mkdir()
    with pytest.raises(StepError, match="`gpu serve` answers with status 503"):
        recorded_page(write_gpu_program(tmp_path / "generation"), tmp_path / "case", {})
