"""Clients: the people and programs that may use the endpoint, each with a key of its own."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, SerializeAsAny, field_validator

from roles.contract.holders import MASTER
from roles.options.base import Many, Options
from roles.options.money import Budget
from roles.options.secrets import GeneratedSecret, Secret
from roles.options.values import ModelName, Name


class Client(Options):
    """A person or program that uses the endpoint, with its own key and limits."""

    name: Name = Field(examples=['name="ada"'])
    """Its name in logs, reports and messages."""
    key: SerializeAsAny[Secret] = Field(GeneratedSecret(), examples=['key=EnvSecret("ADAS_KEY")'])
    """The key that it sends; none given = `deploys/clients.py` makes it and shows it once. The host keeps only its
    digest."""
    routes: Many[ModelName] = Field((), examples=['routes=["llama3.1:latest"]'])
    """Public names that it may use, each with all of its aliases, and with the fallbacks of the route; none = all. Its
    list of models shows no others."""
    rpm: Annotated[int, Field(ge=1)] | None = Field(None, examples=["rpm=60"])
    """Most requests within a minute; further ones get 429. Exact with a cache; without one each instance of the gateway
    counts for itself, so that up to `instances` times as many pass."""
    tpm: Annotated[int, Field(ge=1)] | None = Field(None, examples=["tpm=100_000"])
    """Most tokens, of requests and answers, within a minute, likewise."""
    max_parallel: Annotated[int, Field(ge=1)] | None = Field(None, examples=["max_parallel=4"])
    """Most requests at the same time, likewise."""
    budget: Budget | None = Field(None, examples=['budget=Budget(per="month", usd=20)'])
    """What it may spend, by the `price` of the deployments that answer it; then its requests get 429 until the period
    ends. It holds for all instances together: only what they answer at that moment, or have answered within the last
    five seconds, may go beyond it."""
    expires: date | None = Field(None, examples=["expires=date(2027, 6, 30)"])
    """Last day, in UTC, on which its key is valid; none = until it is removed. No deploy is needed at that day's
    end."""

    @field_validator("name")
    @classmethod
    def _is_not_reserved(cls, name: str) -> str:
        if name == MASTER:
            raise ValueError(f'"{MASTER}" is the holder of the gateway\'s own `master_key`; take another name')
        return name
