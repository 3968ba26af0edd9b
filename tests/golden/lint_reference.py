"""The lint's page in the docs: one table a group of rules, from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterator

from roles.lint import GROUPS, Rule, rules_of


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
        "1 errors, 2 a file cannot be read. With `--env-file` (once, or once a file) it also looks for variables that",
        "are not set; it never prints a value. `include` is followed. Several files are taken as proxies side by side.",
        "",
        "An **error** does not start, or something that is declared does not work. A **warning** works, and will hurt.",
        "Releases: `all` = no difference is known; `by release` = judged by the lists in `roles/lint/keys`, which",
        "`tests/litellm_keys.py` makes from an installed LiteLLM. `make golden` writes this page from the rules:",
        "change those.",
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
    return "\n".join([*lines, "", *_sources()]) + "\n"


def _row(rule: Rule) -> str:
    cells = (f"`{rule.id}`", rule.severity, rule.what, rule.fix, rule.versions)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sources() -> Iterator[str]:
    yield "## How each is known"
    yield ""
    for module in GROUPS.values():
        for rule in rules_of(module):
            yield f"- `{rule.id}`: {rule.source}"
