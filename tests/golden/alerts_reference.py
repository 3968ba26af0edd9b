"""The table of the monitoring's page, from its alerts."""

from __future__ import annotations

import re

from roles.monitoring.rules import Alert, alerts

HEADING = "## Alerts"


def alerts_reference(every: int) -> str:
    """The text of `docs/monitoring.md` from that heading on.

    Args:
        every: seconds from the end of one verification to the next.
    """
    lines = [
        HEADING,
        "",
        "`make golden` writes this table from `roles/monitoring/rules.py`. `critical`: clients are refused, or soon",
        "will be; `warning`: look at it within the day. The last column names the rows of",
        "[troubleshooting.md](troubleshooting.md#red-checks) that say more.",
        "",
        "`pytest --soak tests/lab/test_alerts.py` provokes them on a lab host, with shorter times than these: 22 were",
        "seen to reach a webhook (2026-11-28). Not by the fault itself, but by what the kernel or the driver says of",
        "it: `UnitMemoryNearBound`, `HostMemoryLow`, `ProcessesKilled` and those of cards; `VerdictStale` by the time",
        "in the verdict; `RulesFail` by a rule that the test adds. In promtool's cases alone: `BudgetNearEnd`,",
        "`BudgetSpent` and `RemoteWriteFails`.",
        "",
        "| alert | | after | what is so | what to do | check |",
        "|---|---|---|---|---|---|",
        *(_row(alert) for alert in alerts(every)),
    ]
    return "\n".join(lines) + "\n"


def _row(alert: Alert) -> str:
    cells = (
        f"`{alert.name}`",
        alert.severity,
        "at once" if alert.lasts == "0s" else alert.lasts,
        alert.summary,
        alert.fix,
    )
    check = f"`{alert.checks}`" if alert.checks else ""
    return f"| {' | '.join(_shown(cell) for cell in (*cells, check))} |"


def _shown(text: str) -> str:
    """A label as `LABEL`, a value as N."""
    named = re.sub(r"\{\{ \$labels\.(\w+) }}", lambda found: found[1].upper(), text)
    return re.sub(r"\{\{ \$value[^}]*}}", "N", named).replace("|", "\\|")
