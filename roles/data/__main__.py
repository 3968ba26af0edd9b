"""`python -m roles.data` lists every value that `--data NAME=VALUE` gives to a run."""

from __future__ import annotations

import textwrap

from roles.data.known import VALUES

_WIDTH = 100


def listing() -> str:
    """One paragraph a value: how it is written, which deploys read it, what it does, what holds without it."""
    return "\n\n".join(
        f"--data {value.example}    ({value.readers})\n"
        + textwrap.fill(
            f"{value.meaning} Is {value.form.words}. Not given: {value.otherwise}.".replace("`", ""),
            width=_WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
        )
        for value in VALUES.values()
    )


if __name__ == "__main__":
    print(listing())
