"""Who is notified of alerts, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from roles.options import GivenSecret, Many, Options, quoted, spelled

Severity: TypeAlias = Literal["critical", "warning"]
_LONGEST_PAUSE = 96
"""Hours. Alertmanager remembers for five days what it has sent."""

SmtpServer = Annotated[
    str,
    spelled(
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?:[1-9][0-9]{0,4}",
        'name and port of a mail server, such as "smtp.example.com:587"',
    ),
]
MailAddress = Annotated[str, spelled(r"[\w.+-]+@[A-Za-z0-9.-]+", 'mail address, such as "ada@example.com"')]


class Receiver(Options):
    """A person or program that is notified of alerts, and of their end."""

    abstract: ClassVar[bool] = True

    severities: Many[Severity] = Field((), examples=['severities=["critical"]'])
    """The alerts that it is notified of; none = all."""
    resolved: bool = Field(True, examples=["resolved=False"])
    """Notify also of the end of an alert."""
    repeat_hours: Annotated[int, Field(ge=1, le=_LONGEST_PAUSE)] = Field(12, examples=["repeat_hours=24"])
    """Hours after which it is notified again of an alert that goes on."""


class Webhook(Receiver):
    """An address that gets a POST of Alertmanager's own JSON."""

    url: SerializeAsAny[GivenSecret] = Field(examples=['url=EnvSecret("ALERT_WEBHOOK")'])
    """The address. A secret: anyone who knows such an address can write to it."""
    token: SerializeAsAny[GivenSecret] | None = Field(None, examples=['token=EnvSecret("ALERT_TOKEN")'])
    """Sent along as `Authorization: Bearer …`."""


class Email(Receiver):
    """Mail, as plain text."""

    smtp: SmtpServer = Field(examples=['smtp="smtp.example.com:587"'])
    """The mail server that takes it, with its port. At port 465 it speaks TLS from the start."""
    sender: MailAddress = Field(examples=['sender="gpu-box@example.com"'])
    """The address that it is from."""
    to: Annotated[Many[MailAddress], Field(min_length=1)] = Field(examples=['to=["ada@example.com"]'])
    """The addresses that it goes to."""
    user: Annotated[str, spelled(r"[!-~]{1,200}", "name of a user, without spaces")] | None = Field(
        None, examples=['user="gpu-box@example.com"']
    )
    """User at the mail server; none = no login."""
    password: SerializeAsAny[GivenSecret] | None = Field(None, examples=['password=EnvSecret("SMTP_PASSWORD")'])
    """That user's password."""
    tls: bool = Field(True, examples=["tls=False"])
    """Send nothing to a server that does not speak TLS."""

    @field_validator("smtp")
    @classmethod
    def _port_exists(cls, smtp: str) -> str:
        if int(smtp.rpartition(":")[2]) > 65535:
            raise ValueError(f"{quoted(smtp)} has a port beyond 65535")
        return smtp

    @model_validator(mode="after")
    def _logs_in_or_not(self) -> Email:
        if (self.user is None) != (self.password is None):
            raise ValueError("give `user` and `password`, or neither")
        if self.password and not self.tls:
            raise ValueError("without `tls` the password would cross the network in the clear; remove `tls=False`")
        return self


class Ntfy(Receiver):
    """A topic of ntfy, with its apps for phones. The server must be ntfy 2.10 or newer."""

    url: SerializeAsAny[GivenSecret] = Field(examples=['url=EnvSecret("NTFY_TOPIC")'])
    """Address of the topic, such as `https://ntfy.example.com/gpu-box-Hs83kd`. A secret: anyone who knows an open topic
    can read it and write to it."""
    token: SerializeAsAny[GivenSecret] | None = Field(None, examples=['token=EnvSecret("NTFY_TOKEN")'])
    """Access token, for a topic that is not open."""
    priority: Annotated[int, Field(ge=1, le=5)] = Field(3, examples=["priority=5"])
    """How much attention a phone asks for: from 1, none, to 5, which also goes on in the night."""


class Slack(Receiver):
    """A channel of Slack, by an incoming webhook."""

    url: SerializeAsAny[GivenSecret] = Field(examples=['url=EnvSecret("SLACK_WEBHOOK")'])
    """Address of the webhook, which Slack makes for one channel. A secret: anyone who knows it can write there."""


AnyReceiver: TypeAlias = Webhook | Email | Ntfy | Slack
