"""What the monitoring of the reference inventory means for a host, file by file, the page of alerts, and dashboards."""

from __future__ import annotations

import json
import re
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from roles.monitoring import Email, Monitoring, Ntfy, Slack, Webhook
from roles.monitoring.receivers import AnyReceiver
from roles.options import EnvSecret, Verification
from roles.plan import HostPlan
from roles.rooms import plan_of
from tests.golden.alerts_reference import HEADING, alerts_reference
from tests.golden.conftest import Golden
from tests.golden.grafana_dashboard import grafana_dashboard
from tests.inventories import INVENTORY, load_stack

_EXPECTED = Path(__file__).parent / "monitoring"
_RECEIVERS = Path(__file__).parent / "receivers"
_UNITS = tuple(f"ai-backend-{name}.service" for name in ("prometheus", "alertmanager", "node-exporter", "gpu-metrics"))
_PAGE = INVENTORY.parent / "docs" / "monitoring.md"
_DASHBOARD = _PAGE.parent / "grafana" / "ai-backend.json"


def planned(monitoring: Monitoring) -> HostPlan:
    return plan_of(load_stack("gpu-box.py", "gpu-box").model_copy(update={"monitoring": monitoring}))


def test_the_monitoring_of_the_reference_stack_renders_exactly_the_expected_files(golden: Golden) -> None:
    plan = planned(Monitoring())
    files = {Path(path).name: text for path, text in plan.files.items() if path.startswith("monitoring/")}
    texts = files | {unit.name: unit.text for unit in plan.units if unit.name in _UNITS}
    for name, text in texts.items():
        golden(_EXPECTED / name, text)
    assert sorted(texts) == sorted(path.name for path in _EXPECTED.iterdir())


def test_receivers_render_exactly_the_expected_files(golden: Golden) -> None:
    secret = EnvSecret("SECRET")
    mail = Email(
        smtp="smtp.example.com:587", sender="box@example.com", to=["ada@example.com"], user="box", password=secret
    )
    receivers: list[AnyReceiver] = [
        Webhook(url=secret, token=secret),
        mail,
        Ntfy(url=secret, severities=["critical"]),
        Slack(url=secret),
    ]
    plan = planned(Monitoring(receivers=receivers))
    name = "ai-backend-alertmanager.service"
    golden(_RECEIVERS / "alertmanager.yml", plan.files["monitoring/alertmanager.yml"])
    golden(_RECEIVERS / name, next(unit.text for unit in plan.units if unit.name == name))


def test_the_page_of_the_monitoring_lists_the_alerts(golden: Golden) -> None:
    by_hand = _PAGE.read_text().partition(HEADING)[0]
    golden(_PAGE, by_hand + alerts_reference(Verification().every))


def test_the_dashboard_for_grafana_is_made_of_the_panels(golden: Golden) -> None:
    golden(_DASHBOARD, grafana_dashboard())


def test_grafanas_own_reader_knows_all_of_the_dashboard() -> None:
    document = json.loads(_DASHBOARD.read_text())
    assert json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder)) == document
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    # It can be imported where Prometheus has any name.
    assert {*re.findall(r'"uid": "([^"]+)"', _DASHBOARD.read_text())} == {"ai-backend", "${datasource}"}
