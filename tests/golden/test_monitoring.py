"""What the monitoring of the reference inventory means for a host, file by file, and the page of alerts."""

from __future__ import annotations

from pathlib import Path

from roles.monitoring import Monitoring
from roles.options import Verification
from roles.rooms import plan_of
from tests.golden.alerts_reference import HEADING, alerts_reference
from tests.golden.conftest import Golden
from tests.inventories import INVENTORY, load_stack

_EXPECTED = Path(__file__).parent / "monitoring"
_UNITS = ("ai-backend-prometheus.service", "ai-backend-alertmanager.service", "ai-backend-node-exporter.service")
_PAGE = INVENTORY.parent / "docs" / "monitoring.md"


def test_the_monitoring_of_the_reference_stack_renders_exactly_the_expected_files(golden: Golden) -> None:
    plan = plan_of(load_stack("gpu-box.py", "gpu-box").model_copy(update={"monitoring": Monitoring()}))
    files = {Path(path).name: text for path, text in plan.files.items() if path.startswith("monitoring/")}
    texts = files | {unit.name: unit.text for unit in plan.units if unit.name in _UNITS}
    for name, text in texts.items():
        golden(_EXPECTED / name, text)
    assert sorted(texts) == sorted(path.name for path in _EXPECTED.iterdir())


def test_the_page_of_the_monitoring_lists_the_alerts(golden: Golden) -> None:
    by_hand = _PAGE.read_text().partition(HEADING)[0]
    golden(_PAGE, by_hand + alerts_reference(Verification().every))
