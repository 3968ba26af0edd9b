"""A further Prometheus, or what speaks like one, that gets a copy of the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, SerializeAsAny, model_validator

from roles.options import GivenSecret, Many, Options, Url, spelled
from roles.plan import EnvValue, Json

MetricNames = Annotated[
    str,
    spelled("[A-Za-z_:][A-Za-z0-9_:]*[*]?", 'name of a metric, or its beginning with a "*", such as "ai_backend_*"'),
]


class RemoteWrite(Options):
    """An address that gets each metric as soon as it is read, by Prometheus' remote write."""

    url: Url = Field(examples=['url="https://metrics.example.com/api/v1/write"'])
    """The address."""
    token: SerializeAsAny[GivenSecret] | None = Field(None, examples=['token=EnvSecret("METRICS_TOKEN")'])
    """Sent along as `Authorization: Bearer …`."""
    user: Annotated[str, spelled(r"[!-9;-~]{1,200}", 'name of a user, without spaces and ":"')] | None = Field(
        None, examples=['user="gpu-box"']
    )
    """User, for a server that wants a user and a password instead."""
    password: SerializeAsAny[GivenSecret] | None = Field(None, examples=['password=EnvSecret("METRICS_PASSWORD")'])
    """That user's password."""
    metrics: Many[MetricNames] = Field((), examples=['metrics=["up", "ai_backend_*", "litellm_*"]'])
    """The metrics that it gets, by name or by the beginning of their names; none = all."""

    @model_validator(mode="after")
    def _logs_in_in_one_way(self) -> RemoteWrite:
        if (self.user is None) != (self.password is None):
            raise ValueError("give `user` and `password`, or neither")
        if self.token and self.user:
            raise ValueError("give a `token`, or `user` and `password`, not both")
        return self


def remote_secrets(written: Sequence[RemoteWrite]) -> Mapping[str, EnvValue]:
    """Variable → secret, of all of them."""
    secrets: dict[str, EnvValue] = {}
    for number, each in enumerate(written, 1):
        if each.token:
            secrets[_variable(number, "token")] = each.token
        if each.password:
            secrets[_variable(number, "password")] = each.password
    return secrets


def remote_write_config(written: Sequence[RemoteWrite], keys: str) -> list[Json]:
    """
    Args:
        keys: the folder of the secrets, each in a file with the name of its variable.
    """
    return [_config(each, number, keys) for number, each in enumerate(written, 1)]


def _config(each: RemoteWrite, number: int, keys: str) -> Json:
    config: dict[str, Json] = {"url": each.url, "name": f"remote-{number}"}
    if each.token:
        config["authorization"] = {"credentials_file": f"{keys}/{_variable(number, 'token')}"}
    if each.user:
        config["basic_auth"] = {"username": each.user, "password_file": f"{keys}/{_variable(number, 'password')}"}
    if each.metrics:
        names = "|".join(name.replace("*", ".*") for name in each.metrics)
        config["write_relabel_configs"] = [{"source_labels": ["__name__"], "regex": names, "action": "keep"}]
    return config


def _variable(number: int, option: str) -> str:
    return f"REMOTE_{number}_{option.upper()}"
