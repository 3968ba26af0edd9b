"""What a driver's tool says of cards becomes a page that Prometheus can read, whatever it is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from roles.host.programs.gpu.metrics import FIELDS, page, rows_of
from tests.fuzz_values import TEXTS

_VALUES = TEXTS | st.sampled_from(["[N/A]", "Active", "Not Active", "-3", "12.5", "9" * 400, "1e9", "nan", "\u0661"])
_LABEL = r'[a-z]+="(?:[^"\\\n]|\\[\\"])*"'
_SAMPLE = re.compile(rf"ai_backend_card_[a-z_]+\{{{_LABEL}(?:,{_LABEL})*}} -?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?")
_ABOUT = re.compile(r"# (?:HELP ai_backend_card_[a-z_]+ [ -~]+|TYPE ai_backend_card_[a-z_]+ (?:gauge|counter))")


@given(
    lines=st.lists(
        TEXTS | st.lists(_VALUES, min_size=len(FIELDS), max_size=len(FIELDS)).map(lambda values: ", ".join(values)),
        max_size=4,
    ),
    index=st.sampled_from(["0", "12", "\u0661"]),
)
def test_each_line_of_the_page_is_one_of_prometheus_format(lines: list[str], index: str) -> None:
    said = "\n".join(f"{index}, {line.partition(', ')[2]}" for line in lines)
    written = page(rows_of(said, FIELDS)).encode().decode()
    for line in written.split("\n")[:-1]:
        assert _SAMPLE.fullmatch(line) or _ABOUT.fullmatch(line), line
