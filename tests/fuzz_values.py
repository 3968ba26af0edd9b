"""What property tests give: values that an inventory, a file or another machine may hold by mistake or with intent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SECRET = "sk-7f3c9a1b5d2e8f604c7a9b3d1e5f8a2c4b6d8e0f1a3c5e79"
"""In no message, wherever it is given."""

AWKWARD_TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "\n",
            "\0",
            "\x1b[2J",
            "000123",
            "970236",
            "12e456",
            "1e5",
            "0x12",
            "true",
            "no",
            "null",
            "NaN",
            "-1",
        ),
        *(
            "a" * 300,
            "/",
            "..",
            "../x",
            "~/x",
            "https://h/m.gguf",
            "https://u:p@h/x",
            "file:///x",
            "a/b",
            "a b",
            "€",
            "\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ONE}",
        ),
        *("m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00001-of-99999.gguf", "64G", "64GB", "0G", "1h30m"),
        *("%s", "{x}", "${X}", "$(x)", "`x`", "'", '"', "\\", "\ud800", "name", SECRET),
    ]
)
TEXTS = AWKWARD_TEXTS | st.text(max_size=40)
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.sampled_from([0, -1, 2**63, 10**400, 10**4000]) | st.floats() | TEXTS
)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any] = TEXTS) -> st.SearchStrategy[Any]:
    """Lists and mappings of them, within each other."""
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
    )


JSON = nested(PLAIN)
ANYTHING = nested(PLAIN | st.binary(max_size=20) | st.sampled_from([int, object(), len, {1}, (1,), frozenset(), ...]))


def refusal(make: Callable[[], object], *errors: type[BaseException]) -> str:
    """The message of a refusal by one of these errors; empty if it is none. Any other error is the caller's to see."""
    try:
        make()
    except errors as error:
        return str(error)
    return ""


def damaged(document: Any, parts: st.SearchStrategy[Any] = JSON) -> st.SearchStrategy[Any]:
    """A JSON document with a few of its values replaced, removed or added, at any depth."""
    return st.lists(st.tuples(st.randoms(use_true_random=False), parts, st.integers(0, 3)), min_size=1, max_size=4).map(
        lambda changes: _changed(document, changes)
    )


def _changed(document: Any, changes: list[Any]) -> Any:
    found = _copy(document)
    for chance, value, kind in changes:
        at = found
        while isinstance(at, dict | list) and at:
            key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if isinstance(at[key], dict | list) and at[key] and chance.random() < 0.8:
                at = at[key]
                continue
            if kind == 0:
                del at[key]
            elif kind == 1 and isinstance(at, dict):
                at[str(value)[:20]] = value
            else:
                at[key] = value
            break
    return found


def _copy(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _copy(value) for key, value in document.items()}
    return [_copy(value) for value in document] if isinstance(document, list) else document
