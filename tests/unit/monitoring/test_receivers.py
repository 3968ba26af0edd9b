"""Who is notified of alerts, in Alertmanager's configuration, and where the secrets for it are."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from roles.monitoring import Email, Monitoring, Ntfy, Slack, Webhook
from roles.monitoring.receivers import AnyReceiver
from roles.options import EnvSecret, GivenSecret, OptionsError
from roles.plan import HostPlan, resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, small_stack

ALERTMANAGER = "ai-backend-alertmanager.service"
HOOK = Webhook(url=EnvSecret("ALERT_WEBHOOK"))


def email(**options: Any) -> Email:
    return Email(**{"smtp": "smtp.example.com:587", "sender": "box@example.com", "to": ["ada@example.com"], **options})


def planned(*receivers: AnyReceiver) -> HostPlan:
    return plan_of(small_stack(monitoring=Monitoring(receivers=receivers)))


def config_of(plan: HostPlan) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(plan.files["monitoring/alertmanager.yml"])
    return config


def settings_of(receiver: AnyReceiver) -> dict[str, Any]:
    """What Alertmanager is told of one receiver."""
    config = config_of(planned(receiver))
    (found,) = [each for each in config["receivers"] if each["name"] != "nobody"]
    ((settings,),) = [value for key, value in found.items() if key != "name"]
    settings_: dict[str, Any] = settings
    return settings_


def text_of(plan: HostPlan) -> str:
    return next(unit.text for unit in plan.units if unit.name == ALERTMANAGER)


def test_without_receivers_nobody_is_notified_and_nothing_leaves_the_host() -> None:
    plan = planned()
    assert config_of(plan)["receivers"] == [{"name": "nobody"}]
    assert "\nIPAddressDeny=any\n" in text_of(plan)
    assert "start-alertmanager" not in text_of(plan)


def test_each_receiver_gets_what_it_asks_for_and_none_takes_it_from_the_others() -> None:
    plan = planned(HOOK, email(severities=["critical"], repeat_hours=24, resolved=False))
    config = config_of(plan)
    assert config["route"]["group_by"] == ["host"]
    assert config["route"]["routes"] == [
        {"receiver": "webhook-1", "repeat_interval": "12h", "continue": True},
        {
            "receiver": "email-2",
            "matchers": ['severity=~"critical"'],
            "repeat_interval": "24h",
            "continue": True,
        },
    ]
    by_name = {each["name"]: each for each in config["receivers"]}
    assert by_name["webhook-1"]["webhook_configs"][0]["send_resolved"] is True
    assert by_name["email-2"]["email_configs"][0]["send_resolved"] is False
    assert "IPAddressDeny" not in text_of(plan)


def test_two_severities_are_one_rule() -> None:
    config = config_of(planned(Webhook(url=EnvSecret("ALERT_WEBHOOK"), severities=["warning", "critical"])))
    assert config["route"]["routes"][0]["matchers"] == ['severity=~"warning|critical"']


def test_secrets_are_in_its_0600_file_alone_and_a_new_one_restarts_it() -> None:
    plan = planned(
        Webhook(url=EnvSecret("URL"), token=EnvSecret("TOKEN_A")),
        Ntfy(url=EnvSecret("URL"), token=EnvSecret("TOKEN_B")),
        Slack(url=EnvSecret("URL")),
        email(user="box", password=EnvSecret("PASSWORD")),
    )

    def reveal(secret: GivenSecret, last: str = "1") -> str:
        return f"https://hooks.example.com/the-secret-{last}"

    generation = resolve(plan, PLATFORM, reveal=reveal)
    holding = {path: file.mode for path, file in generation.files.items() if b"the-secret" in file.content}
    assert holding == {f"env/{ALERTMANAGER}.env": 0o600}
    text = generation.files[f"env/{ALERTMANAGER}.env"].content.decode()
    variables = {line.partition("=")[0] for line in text.splitlines()}
    # Each place in the configuration is one that a start fills in.
    assert variables == set(re.findall(r"'@secret:(\w+)@[^' ]*'", plan.files["monitoring/alertmanager.yml"]))
    assert len(variables) == 6
    later = resolve(plan, PLATFORM, reveal=lambda secret: reveal(secret, "2")).unit_digests
    assert {name for name, digest in generation.unit_digests.items() if digest != later[name]} == {ALERTMANAGER}


def test_what_is_read_is_the_copy_with_the_secrets() -> None:
    copy = "/run/ai-backend-alertmanager/alertmanager.yml"
    text = text_of(planned(HOOK))
    assert f"/start-alertmanager \\\n    /etc/ai-backend/monitoring/alertmanager.yml \\\n    {copy} \\\n" in text
    assert f" --config.file={copy} \\\n" in text
    assert "\nRuntimeDirectory=ai-backend-alertmanager\nRuntimeDirectoryMode=0700\n" in text


@pytest.mark.parametrize(
    "value", ["hooks.example.com/abc", "ftp://hooks.example.com/a", "https://ada:pw@hooks.example.com/", "https://a/'b"]
)
def test_a_secret_that_is_no_address_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(OptionsError, match="`url` of Webhook: the secret from environment variable") as refused:
        resolve(planned(HOOK), PLATFORM, reveal=lambda _: value)
    assert value not in str(refused.value)


def test_ntfy_gets_a_title_and_a_text_from_alertmanagers_json() -> None:
    settings = settings_of(Ntfy(url=EnvSecret("NTFY_TOPIC"), priority=5))
    asked = parse_qs(settings["url"].partition("@?")[2])
    assert {name: value for name, (value,) in asked.items() if name in ("tpl", "p")} == {"tpl": "1", "p": "5"}
    assert asked["t"][0].startswith("{{.commonLabels.host}}: ")
    assert "{{.annotations.description}}" in asked["m"][0]
    # ntfy refuses a text of more than 4,096 bytes, and these words.
    assert settings["max_alerts"] == 8
    assert not re.search(r"\{\{-?\s*(call|template|define)\b", asked["t"][0] + asked["m"][0])
    with pytest.raises(OptionsError, match=r"`url` of Ntfy: the address from .* has a `\?`; give it without"):
        resolve(
            planned(Ntfy(url=EnvSecret("NTFY_TOPIC"))), PLATFORM, reveal=lambda _: "https://ntfy.example.com/t?auth=1"
        )


def test_mail_names_host_and_alert_in_its_subject_and_is_plain_text() -> None:
    settings = settings_of(email(to=["ada@example.com", "bob@example.com"]))
    assert settings["to"] == "ada@example.com, bob@example.com"
    assert settings["headers"] == {"Subject": '{{ template "ai-backend.subject" . }}'}
    assert (settings["text"], settings["html"]) == ('{{ template "ai-backend.text" . }}', "")
    assert settings["require_tls"] is True
    assert "auth_password" not in settings


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"user": "box"}, "give `user` and `password`, or neither", id="no password"),
        pytest.param(
            {"user": "box", "password": EnvSecret("PASSWORD"), "tls": False},
            "without `tls` the password would cross",
            id="a password in the clear",
        ),
        pytest.param({"smtp": "smtp.example.com"}, 'mail server, such as "smtp.example.com:587"', id="no port"),
        pytest.param({"smtp": "smtp.example.com:99999"}, "has a port beyond 65535", id="no such port"),
        pytest.param({"to": []}, 'Email: option "to"', id="nobody"),
        pytest.param({"to": ["ada@example.com\nBcc: eve@example.com"]}, "is no mail address", id="a further header"),
    ],
)
def test_mail_that_cannot_be_sent_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        email(**options)
