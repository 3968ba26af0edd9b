"""The second table of the troubleshooting page, from the doctor's signs."""

from __future__ import annotations

from roles.verify.doctor import SIGNS, Sign

HEADING = "## Red checks"
_WORDS = {"unit": "UNIT", "config": "/etc/ai-backend"}


def doctor_reference() -> str:
    """The text of `docs/troubleshooting.md` from that heading on."""
    lines = [
        HEADING,
        "",
        "A check that does not hold is told with its likely causes, the likeliest first, and the command that shows",
        "more: in the table of `deploys/verify.py`, in the reports, and in the host's journal. UNIT is the unit that",
        "it is about.",
        "",
        "| check | what is told | likely causes, and where to look |",
        "|---|---|---|",
        *(_row(sign) for sign in SIGNS.values()),
    ]
    return "\n".join(lines) + "\n"


def _row(sign: Sign) -> str:
    causes = [f"{each.cause.format(**_WORDS)}: `{each.look.format(**_WORDS)}`" for each in sign.causes]
    cells = (f"`{sign.checks}`", sign.told, "<br>".join(causes))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
