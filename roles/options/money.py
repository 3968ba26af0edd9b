"""What tokens cost, and what may be spent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.contract.budgets import Period
from roles.options.base import Options

Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Price(Options):
    """What a model's tokens cost, in US dollars for a million of them."""

    input: Dollars = Field(examples=["input=0.15"])
    """Of a million tokens of requests."""
    output: Dollars = Field(examples=["output=0.60"])
    """Of a million tokens of answers."""


class Budget(Options):
    """What may be spent in a period: by a client, or at a provider. Days and months begin at midnight UTC."""

    per: Period = Field(examples=['per="month"'])
    """The period, after which it begins anew."""
    usd: Annotated[Dollars, Field(gt=0)] = Field(examples=["usd=20"])
    """US dollars."""
