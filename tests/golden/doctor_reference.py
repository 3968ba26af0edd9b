"""The second table of the troubleshooting page, from the doctor's signs."""

from __future__ import annotations

from roles.options import SystemScope
from roles.plan import layout_of
from roles.verify.doctor import SIGNS, Place, Sign

HEADING = "## Red checks"
_LAYOUT = layout_of(SystemScope())
PLACE = Place("system", _LAYOUT.config, _LAYOUT.state, _LAYOUT.disks)


def doctor_reference() -> str:
    """The text of `docs/troubleshooting.md` from that heading on."""
    lines = [
        HEADING,
        "",
        "A check that does not pass is shown with its likely causes, the likeliest first, and the command that shows",
        "more: in the table of `deploys/verify.py`, in the reports, and in the host's journal. UNIT is the unit that",
        "it is about. The codes are those of the verdict's JSON and of JUnit's `type`. In user scope the commands are",
        "`systemctl --user` and `journalctl --user`, and the paths are the user's.",
        "",
        "| check | code | what it means | likely causes, and where to look |",
        "|---|---|---|---|",
        *(_row(sign) for sign in SIGNS.values()),
    ]
    return "\n".join(lines) + "\n"


def _row(sign: Sign) -> str:
    causes = [f"{each.cause}: `{each.look}`" for each in sign.causes_at(PLACE, "UNIT")]
    codes = "<br>".join(f"`{code}`" for code in sign.codes) or "any, while UNIT is not well"
    cells = ("<br>".join(f"`{pattern}`" for pattern in sign.checks), codes, sign.title, "<br>".join(causes))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
