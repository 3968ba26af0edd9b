"""The lint's page in the docs: one table a group of rules, from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterator

from roles.lint import GROUPS, Rule, rules_of
from roles.lint.rules.coverage import NOT_LOOKED_AT, READ_BY
from tests.lint_corpus.verdict import FALSE_ALARMS, MISSES, RELEASE, table

_NEW_RELEASE = (
    "## A new release of LiteLLM",
    "",
    "What the lint knows of a release is made from the release: its keys, the kinds of their values, its",
    "providers, models, the variables that it reads when it is imported, and what its start refuses.",
    "",
    "1. Make the new lock `roles/litellm/locks/litellm-VERSION.txt`, and an environment of it.",
    "2. `ENVIRONMENT/bin/python -m tests.litellm_keys > roles/lint/keys/VERSION.json` (a minute). Read the difference",
    "   to the file of the release before: what a list lost much of has moved in the source; the script must follow.",
    "   `-m tests.litellm_sections > roles/lint/keys/sections/VERSION.json` likewise, and for the gateway's release",
    "   `-m tests.litellm_vendors > roles/external/vendors.json`.",
    "3. `ENVIRONMENT/bin/python -m tests.lint_corpus.start --write` (ten minutes) starts it with each configuration",
    "   of `tests/lint_corpus`. `git diff tests/lint_corpus/started.json` is what the release does otherwise.",
    "4. `pytest tests/unit/lint`: `test_corpus.py` names the configurations that the lint judges wrongly now. A rule",
    "   that holds for some releases only asks `config.version`, and says so in its `versions`.",
)


def lint_reference() -> str:
    """The text of `docs/lint.md`."""
    lines = [
        "# The lint",
        "",
        "LiteLLM starts with most mistakes in its configuration, and does something else than is written there. The",
        "lint finds them, in this project's `litellm-unified.yaml` and in any other configuration of LiteLLM's proxy:",
        "",
        "    ai-backend-lint FILE… [--litellm VERSION] [--env-file FILE] [--json]",
        "",
        "One line a finding: `file:line: error: message; fix [rule]`. Exit status: 0 no errors (warnings may be),",
        "1 errors, 2 a file cannot be read: the others are checked all the same. `-` is standard input. With",
        "`--env-file` (once, or once a file) it also looks for variables that are not set, and judges what stands in",
        "them; it never prints a value. `include` is followed. Several files are taken as proxies side by side. More",
        "than ten findings of one rule in one section become one, with a count (`count` in `--json`). A configuration",
        "in a ConfigMap, a Secret or the values of a Helm chart is taken out and checked, each of several. Limits:",
        "16 MiB with all includes, a million values, 100 included files. 11.6 MB with 56,000 models take 2.6 s of a",
        "processor, and 174 MB (`pytest tests/unit/lint/test_foreign.py -k 10_mb`); the time grows as the file does.",
        "",
        "An **error** does not start, or something that is declared does not work. A **warning** works, and will hurt.",
        "Releases: `all` = no difference is known; `by release` = judged by the lists in `roles/lint/keys`, which",
        "`tests/litellm_keys.py` and, for the sections beside models, `tests/litellm_sections.py` make from an",
        "installed LiteLLM. The second makes each guardrail and each callback with nothing, and again with what it",
        "asked for: so the lint knows what is lacking. `make golden` writes this page from the rules: change those.",
    ]
    wrong = sorted(MISSES | FALSE_ALARMS)
    lines += [
        "",
        f"LiteLLM {RELEASE} was started with each of the {len(table())} configurations of `tests/lint_corpus`.",
        f"The lint judges them as it does, but for {len(wrong)}: {', '.join(f'`{name}`' for name in wrong)}.",
    ]
    for title, module in GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| rule | severity | what it finds | fix | releases |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(rule) for rule in rules_of(module)]
    return "\n".join([*lines, "", *_NEW_RELEASE, "", *_sections(), "", *_sources()]) + "\n"


def _row(rule: Rule) -> str:
    cells = (f"`{rule.id}`", rule.severity, rule.what, rule.fix, rule.versions)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sections() -> Iterator[str]:
    yield "## Sections and the rules that read them"
    yield ""
    yield "Every section that a release reads. The words are modules in `roles/lint/rules`."
    yield ""
    for section, modules in sorted(READ_BY.items()):
        yield f"- `{section}`: {', '.join(modules)}"
    for section, reason in sorted(NOT_LOOKED_AT.items()):
        yield f"- `{section}`: not looked at: {reason}"


def _sources() -> Iterator[str]:
    yield "## How each is known"
    yield ""
    for module in GROUPS.values():
        for rule in rules_of(module):
            yield f"- `{rule.id}`: {rule.source}"
