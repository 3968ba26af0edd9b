"""What is spent of a budget, a client's or a provider's, and what is said once all of it is.

Not LiteLLM's own budgets: without a database those of 1.106.2 are per LiteLLM's provider, which is `openai` for nearly
all servers, or per deployment, begin with the first request instead of a day or a month, and are gone with a restart
unless Redis keeps them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from roles.contract.budgets import PERIODS, Budget, first_day, next_day, seconds_left
from roles.litellm.requests.refusal import Refusal
from roles.litellm.requests.usage import Spender, Usage


async def is_spent(budget: Budget, spender: Spender, usage: Usage | None) -> bool:
    """Args: usage: what is counted; none = nothing is, as in a gateway that is tried out."""
    if usage is None:
        return False
    since = first_day(budget.per, datetime.now(UTC).date())
    return await asyncio.to_thread(usage.spent, spender, since) >= budget.nanodollars


def out_of_budget(budget: Budget, spent: str) -> Refusal:
    """The answer to a request then.

    Args:
        spent: what is spent, for the person who asked.
    """
    now = datetime.now(UTC)
    message = (
        f"{spent} for {PERIODS[budget.per]} are spent. It begins anew on {next_day(budget.per, now.date())} (UTC)."
    )
    # OpenAI's libraries try again after a 429 without this.
    headers = {"Retry-After": str(seconds_left(budget.per, now)), "x-should-retry": "false"}
    return Refusal(429, "insufficient_quota", message, kind="insufficient_quota", headers=headers)
