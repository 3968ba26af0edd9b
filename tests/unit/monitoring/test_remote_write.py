"""The metrics that another Prometheus gets, and the secrets for it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roles.monitoring import Monitoring, RemoteWrite
from roles.options import EnvSecret, OptionsError
from roles.plan import HostPlan, resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, small_stack

PROMETHEUS = "ai-backend-prometheus.service"
URL = "https://metrics.example.com/api/v1/write"


def planned(*written: RemoteWrite) -> HostPlan:
    return plan_of(small_stack(monitoring=Monitoring(remote_write=written)))


def config_of(plan: HostPlan) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(plan.files["monitoring/prometheus.yml"])
    return config


def text_of(plan: HostPlan) -> str:
    return next(unit.text for unit in plan.units if unit.name == PROMETHEUS)


def test_metrics_stay_on_the_host_unless_told_otherwise() -> None:
    assert "remote_write" not in config_of(planned())
    assert "\nIPAddressDeny=any\n" in text_of(planned())
    assert "IPAddressDeny" not in text_of(planned(RemoteWrite(url=URL)))


def test_only_the_named_metrics_are_written() -> None:
    written = RemoteWrite(url=URL, metrics=["up", "ai_backend_*"])
    assert config_of(planned(written))["remote_write"] == [
        {
            "url": URL,
            "name": "remote-1",
            "write_relabel_configs": [{"source_labels": ["__name__"], "regex": "up|ai_backend_.*", "action": "keep"}],
        }
    ]


def test_secrets_for_it_are_in_its_0600_file_alone() -> None:
    plan = planned(
        RemoteWrite(url=URL, token=EnvSecret("TOKEN")),
        RemoteWrite(url=URL, user="box", password=EnvSecret("PASSWORD")),
    )
    first, second = config_of(plan)["remote_write"]
    assert first["authorization"] == {"credentials_file": "/run/ai-backend-prometheus/REMOTE_1_TOKEN"}
    assert second["basic_auth"] == {
        "username": "box",
        "password_file": "/run/ai-backend-prometheus/REMOTE_2_PASSWORD",
    }
    assert " REMOTE_1_TOKEN \\\n    REMOTE_2_PASSWORD \\\n    -- /usr/bin/prometheus \\\n" in text_of(plan)
    generation = resolve(plan, PLATFORM, reveal=lambda secret: f"the-value-of-{secret.source()}")
    holding = {path: file.mode for path, file in generation.files.items() if b"the-value-of" in file.content}
    assert holding == {f"env/{PROMETHEUS}.env": 0o600}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"user": "box"}, "give `user` and `password`, or neither", id="no password"),
        pytest.param(
            {"user": "box", "password": EnvSecret("PASSWORD"), "token": EnvSecret("TOKEN")},
            "give a `token`, or `user` and `password`, not both",
            id="two logins",
        ),
        pytest.param({"metrics": ["litellm_.*"]}, "is no name of a metric", id="a regular expression"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        RemoteWrite(url=URL, **options)
