"""`alertmanager.yml`: who is notified of which alerts, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from roles.monitoring.receivers import AnyReceiver, Email, Ntfy, Slack, Webhook
from roles.options import GivenSecret
from roles.plan import EnvValue, Json, SecretAddress

_NOBODY = "nobody"
_WAIT = "30s"
"""What else goes wrong within this time is in the same message."""
_PAUSE = "1m"
"""Between two messages about one host, if alerts begin or end."""
_MOST_ALERTS = 8
"""In a message of ntfy, which has at most 4,096 bytes."""
_SUBJECT = '{{ template "ai-backend.subject" . }}'
_TEXT = '{{ template "ai-backend.text" . }}'
_NTFY_TITLE = (
    "{{.commonLabels.host}}: {{if eq (len .alerts) 1}}"
    '{{range .alerts}}{{if eq .status "resolved"}}resolved: {{end}}{{.annotations.summary}}{{end}}'
    '{{else if eq .status "resolved"}}all resolved{{else}}{{len .alerts}} alerts{{if .truncatedAlerts}} and more{{end}}'
    "{{end}}"
)
_NTFY_TEXT = (
    '{{range .alerts}}{{if eq .status "resolved"}}resolved: {{.annotations.summary}}{{else}}'
    "{{.labels.severity}}: {{.annotations.summary}}\n{{.annotations.description}}{{end}}\n\n{{end}}"
    "{{if .truncatedAlerts}}and {{.truncatedAlerts}} more{{end}}"
)
"""ntfy fills in what it is posted, with names as they are in Alertmanager's JSON; it knows no templates of ours."""


@dataclass(frozen=True)
class Notified:
    """A receiver in Alertmanager's configuration.

    Attributes:
        integration: by which Alertmanager reaches it, e.g. `webhook`.
        settings: of that, with `@secret:VARIABLE@` for each secret.
        secrets: variable → secret.
    """

    name: str
    integration: str
    settings: dict[str, Json]
    secrets: Mapping[str, EnvValue]


def notified(receivers: Sequence[AnyReceiver]) -> tuple[Notified, ...]:
    return tuple(
        _notified(receiver, f"{type(receiver).__name__.lower()}-{n}") for n, receiver in enumerate(receivers, 1)
    )


def _notified(receiver: AnyReceiver, name: str) -> Notified:
    secrets: dict[str, EnvValue] = {}

    def place(option: str, secret: EnvValue) -> str:
        variable = f"{name}_{option}".upper().replace("-", "_")
        secrets[variable] = secret
        return f"@secret:{variable}@"

    def address(secret: GivenSecret, *, query: bool = True) -> str:
        return place("url", SecretAddress(secret, f"`url` of {type(receiver).__name__}", query=query))

    def bearer(token: GivenSecret | None) -> dict[str, Json]:
        return {"http_config": {"authorization": {"credentials": place("token", token)}}} if token else {}

    settings: dict[str, Json]
    match receiver:
        case Webhook():
            integration = "webhook"
            settings = {"url": address(receiver.url), **bearer(receiver.token)}
        case Ntfy():
            integration = "webhook"
            asked = urlencode({"tpl": "1", "t": _NTFY_TITLE, "m": _NTFY_TEXT, "p": receiver.priority})
            settings = {
                "url": f"{address(receiver.url, query=False)}?{asked}",
                **bearer(receiver.token),
                "max_alerts": _MOST_ALERTS,
            }
        case Slack():
            integration = "slack"
            settings = {
                "api_url": address(receiver.url),
                "title": _SUBJECT,
                # Its own would lead to a page that only root of the host can open.
                "title_link": "",
                "text": _TEXT,
                "fallback": _SUBJECT,
                # Not the text, in which a * is a *.
                "mrkdwn_in": ["pretext"],
            }
        case Email():
            integration = "email"
            login: dict[str, Json] = {}
            if receiver.user and receiver.password:
                login = {"auth_username": receiver.user, "auth_password": place("password", receiver.password)}
            settings = {
                "smarthost": receiver.smtp,
                "from": receiver.sender,
                "to": ", ".join(receiver.to),
                **login,
                "require_tls": receiver.tls,
                "headers": {"Subject": _SUBJECT},
                "text": _TEXT,
                "html": "",
            }
    return Notified(name, integration, {**settings, "send_resolved": receiver.resolved}, secrets)


def alertmanager_config(receivers: Sequence[AnyReceiver], messages: str) -> dict[str, Json]:
    """
    Args:
        messages: the file with the templates of the messages.
    """
    if not receivers:
        return {"route": {"receiver": _NOBODY}, "receivers": [{"name": _NOBODY}]}
    found = notified(receivers)
    reached: list[Json] = [{"name": each.name, f"{each.integration}_configs": [each.settings]} for each in found]
    return {
        "templates": [messages],
        "route": {
            "receiver": _NOBODY,
            "group_by": ["host"],
            "group_wait": _WAIT,
            "group_interval": _PAUSE,
            "routes": [_route(receiver, each.name) for receiver, each in zip(receivers, found, strict=True)],
        },
        "receivers": [{"name": _NOBODY}, *reached],
    }


def _route(receiver: AnyReceiver, name: str) -> Json:
    severities = "|".join(dict.fromkeys(receiver.severities))
    return {
        "receiver": name,
        **({"matchers": [f'severity=~"{severities}"']} if severities else {}),
        "repeat_interval": f"{receiver.repeat_hours}h",
        # The others are notified too.
        "continue": True,
    }
