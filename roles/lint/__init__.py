"""Finds mistakes in LiteLLM's configuration that it accepts without a message, and that break it later."""

from roles.lint.finding import Finding, Severity
from roles.lint.rule import Rule
from roles.lint.rules import GROUPS, RULES, rules_of
from roles.lint.run import Source, lint, lint_together

__all__ = ["GROUPS", "RULES", "Finding", "Rule", "Severity", "Source", "lint", "lint_together", "rules_of"]
