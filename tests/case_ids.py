"""Whether a reader of a failed run can tell from a case's id what was tried: pytest makes up `options0` for a dict."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 60


def unreadable(case: str, arguments: Iterable[str]) -> str | None:
    """What is wrong with the id of a case that has these arguments, or None."""
    made_up = re.search(rf"(?:^|-)((?:{'|'.join(map(re.escape, arguments))})\d+)(?:-|$)", case)
    if made_up:
        return f"pytest made up `{made_up[1]}`"
    if "<lambda>" in case or " object at 0x" in case:
        return "it shows a Python object"
    if "\\" in case:
        return "it has an escape"
    if len(case) > _LONGEST:
        return f"it has more than {_LONGEST} characters"
    return None
