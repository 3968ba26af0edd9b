"""Each alert on a real host: provoked by its fault, told to a webhook with what to do, and ended with the fault.

The rules are the deployed ones but for their times, which are shortened for Prometheus alone: an alert that waits for
an hour waits for ten seconds here, and none looks back for more than a minute. What the times are is tested by
`promtool test rules`, in `test_monitoring.py`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from roles.monitoring.rules import Alert, alerts
from tests.certificates import issue
from tests.lab import alert_faults as faults
from tests.lab.alert_cases import EVERY
from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, failures, inventory_file, verdict
from tests.lab.https import NAME, Https
from tests.lab.inventory import says
from tests.lab.ollama import ollama_release
from tests.lab.steady_load import RATE, steady_load
from tests.lab.test_gpu_host import CARD, install_driver
from tests.lab.test_monitoring import value_of
from tests.lab.traffic import Gateway
from tests.lab.webhook import webhook
from tests.labhost import Lab, LabHost

pytestmark = pytest.mark.soak_only

Told = Mapping[str, Any]
"""An alert as Alertmanager has it."""

_INVENTORY = """
from roles.litellm import Tls
from roles.monitoring import Monitoring, Webhook
from roles.ollama import *
from roles.options import FileSecret, Gpus

gateway = {{"instances": 2, "cooldown": 1, "max_in_flight": 8, "max_wait": 15, "tls": {tls}}}
stack = lab_stack(gateway=gateway)
card = Ollama(
    release=OllamaRelease(**{release!r}),
    models=[OllamaModel(name="made:latest", gguf=lab_model("ollama.gguf"))],
    gpus=Gpus(uuids=[{card!r}], wait=30),
)
made = Route(name="made:latest", deployments=[Deployment(provider="ollama")])
monitoring = Monitoring(interval=5, receivers=[Webhook(url=FileSecret({hook!r}))])
more = {{"providers": (*stack.providers, card), "routes": (*stack.routes, made), "monitoring": monitoring}}
hosts = [lab_host(stack.model_copy(update=more))]
"""
_LENT = "/var/cache/"
"""Disks of the machine that the lab runs on, which others fill."""
_HEALTHY = 900
"""Seconds."""
_PATIENCE = 100
"""Seconds within which what is wrong is told, or what was is told no more."""


class Watched:
    """A host, and the alerts that its Alertmanager is told of.

    Attributes:
        messages: what it has posted to a webhook.
    """

    def __init__(self, host: LabHost, https: Https, folder: Path, messages: Sequence[Told]) -> None:
        self.host = host
        self.messages = messages
        self._https = https
        self._folder = folder

    def put_certificate(self, days: int) -> None:
        self._https.put(issue(self._folder, f"for-{days}-days", NAME, days=days))

    def use_rules(self, *, broken: bool = False) -> None:
        """Those with short times."""
        rules = faults.shortened(self.host.run("cat /run/lab/deployed.yml").stdout, broken=broken)
        # Into the same file, which is mounted over the deployed one.
        self.host.run("cat > /run/lab/rules.yml", input=rules)
        self.host.run("systemctl kill --kill-whom=main --signal=HUP ai-backend-prometheus")

    def told(self) -> Sequence[Told]:
        """What Alertmanager knows of; nothing while it does not run."""
        answer = self.host.run("curl -s http://127.0.0.1:9093/api/v2/alerts", check=False).stdout
        found: list[dict[str, Any]] = json.loads(answer or "[]")
        return [each for each in found if not each["labels"].get("mountpoint", "").startswith(_LENT)]

    def last_said(self) -> Mapping[tuple[str, str], str]:
        """To the webhook: alert and summary → `firing` or `resolved`."""
        found = [each for message in self.messages for each in message["alerts"]]
        found = [each for each in found if not each["labels"].get("mountpoint", "").startswith(_LENT)]
        return {(each["labels"]["alertname"], each["annotations"]["summary"]): each["status"] for each in found}

    @contextmanager
    def watching(self) -> Iterator[Mapping[str, Mapping[str, Told]]]:
        """Alert → summary → what Alertmanager has been told since."""
        found: dict[str, dict[str, Told]] = {}
        enough = threading.Event()

        def look() -> None:
            while not enough.wait(2):
                for each in self.told():
                    found.setdefault(each["labels"]["alertname"], {})[each["annotations"]["summary"]] = each

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            enough.set()
            thread.join()


@pytest.fixture(scope="module")
def watched(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alerts")
    with ExitStack() as lent:
        binds = {
            str(lent.enter_context(faults.disk(folder / Path(path).name, 64))): path
            for path in (faults.FILLING, faults.FULL)
        }
        host = new_module_host("alerts", prepared=True, binds=binds)
        # The lab has an address once it has a host.
        hook, messages = lent.enter_context(webhook(lab))
        https = Https(host, port=4000)
        watched = Watched(host, https, folder, messages)
        watched.put_certificate(90)
        install_driver(host, seconds=0)
        release = ollama_release(lab).model_dump(exclude_none=True)
        (folder / "hook").write_text(hook)
        text = _INVENTORY.format(tls=https.tls, release=release, card=CARD, hook=str(folder / "hook"))
        deploy(host, inventory=inventory_file(folder, text)).must_pass()
        # The first verification of its own is not to see what follows.
        host.run("until [ -e /var/lib/ai-backend/verdicts/ai_backend.prom ]; do sleep 0.2; done")
        host.run("while systemctl -q is-active ai-backend-verify.service; do sleep 0.2; done")
        yield watched


@pytest.fixture(scope="module")
def told(watched: Watched) -> Mapping[str, Mapping[str, Told]]:
    """Alert → summary → what Alertmanager was told while everything was wrong. Before, it was told nothing."""
    watched.host.run(faults.PREPARE)
    watched.use_rules()
    time.sleep(faults.WAIT)
    assert watched.told() == []
    with watched.watching() as found:

        def wait_for(*names: str) -> None:
            deadline = time.monotonic() + _PATIENCE
            while not found.keys() >= {*names} and time.monotonic() < deadline:
                time.sleep(1)

        watched.put_certificate(5)
        watched.host.run(faults.BREAK, timeout=120)
        watched.host.run(faults.VERIFY, timeout=120)
        wait_for("RouteFails", "VerdictFails", "UnitMemoryNearBound", "CertificateEnds", "CardUnusable")
        watched.host.run(faults.HANG)
        watched.use_rules(broken=True)
        watched.host.run(faults.STOP_TELLING)
        deadline = time.monotonic() + _PATIENCE
        while not value_of(watched.host, 'ALERTS{alertname="AlertsNotSent"}') and time.monotonic() < deadline:
            time.sleep(1)
        watched.host.run(faults.TELL)
        # What could not be told meanwhile is told a minute later.
        wait_for(*faults.TOLD)
    return found


def test_there_is_a_fault_for_each_alert() -> None:
    assert {*faults.TOLD, *faults.NOT_PROVOKED} == {alert.name for alert in alerts(EVERY)}


def test_a_healthy_host_under_steady_load_raises_none(watched: Watched) -> None:
    """With the deployed rules, over a time in which the host also verifies itself."""
    models = {"tiny-native": says("native.gguf"), "tiny-python": says("python.gguf")}
    with steady_load(Gateway(watched.host, scheme="https"), models, RATE[False]) as load:
        time.sleep(_HEALTHY)
    print(load)
    assert load.broken == []
    firing = f'ALERTS{{alertstate="firing",mountpoint!~"{_LENT}.*"}}'
    assert value_of(watched.host, f"count_over_time({firing}[{_HEALTHY}s])") == []
    assert watched.told() == []


@pytest.mark.parametrize(
    "alert", [each for each in alerts(EVERY) if each.name in faults.TOLD], ids=lambda alert: alert.name
)
def test_its_fault_is_told_with_the_host_the_subject_and_what_to_do(
    watched: Watched, told: Mapping[str, Mapping[str, Told]], alert: Alert
) -> None:
    said = told.get(alert.name, {})
    matching = [each for summary, each in said.items() if re.fullmatch(faults.TOLD[alert.name], summary)]
    assert matching, [*said]
    labels, annotations = matching[0]["labels"], matching[0]["annotations"]
    assert labels["host"] == watched.host.name
    assert labels["severity"] == alert.severity
    # What to do, with the names filled in, and where more is said.
    assert annotations["description"].startswith(alert.fix.partition("{{")[0])
    assert "{{" not in annotations["description"]
    assert annotations["runbook"] == f"docs/monitoring.md, Alerts: {alert.name}"
    # Alertmanager posts once a minute.
    deadline = time.monotonic() + _PATIENCE
    while alert.name not in {name for name, _ in watched.last_said()}:
        assert time.monotonic() < deadline
        time.sleep(1)


def test_all_of_them_end_with_their_faults(watched: Watched, told: object) -> None:
    watched.put_certificate(89)
    watched.host.run(faults.MEND, check=False)
    watched.use_rules()
    assert failures(verdict(watched.host)) == []
    watched.host.run(faults.VERIFY, timeout=120)
    deadline = time.monotonic() + faults.WINDOW + _PATIENCE
    while True:
        left = {each["annotations"]["summary"] for each in watched.told()}
        said = {key for key, status in watched.last_said().items() if status != "resolved"}
        if not (left or said) or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert left == set()
    # What it had not posted before its restart it does not know to have been.
    print(f"said to be, and never to be resolved: {said}")
