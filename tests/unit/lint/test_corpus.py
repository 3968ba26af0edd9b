"""The lint's verdict agrees with what the pinned LiteLLM really did with each configuration of the corpus."""

from __future__ import annotations

from tests.lint_corpus.entries import all_entries
from tests.lint_corpus.verdict import findings, right_verdict, table, verdict

_FEW = 0.03


def test_the_table_is_of_these_entries() -> None:
    recorded = {name: row["digest"] for name, row in table().items()}
    assert recorded == {name: entry.digest for name, entry in all_entries().items()}, (
        "run `LITELLM_ENV/bin/python -m tests.lint_corpus.start --write`"
    )


def test_misses_and_false_alarms_are_few() -> None:
    wrong = []
    for name, row in table().items():
        entry = all_entries()[name]
        right, given = right_verdict(entry, row["outcome"]), verdict(entry)
        if right != given:
            wrong.append(f"{name}: LiteLLM {right} ({row['said']}), the lint: {[str(one) for one in findings(entry)]}")
    assert len(all_entries()) >= 150
    assert len(wrong) < _FEW * len(all_entries()), "\n".join(wrong)


def test_each_outcome_is_there_often() -> None:
    outcomes = [row["outcome"] for row in table().values()]
    assert min(outcomes.count(outcome) for outcome in ("starts", "stops", "drops")) > 10
