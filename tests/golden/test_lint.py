"""The lint's page says what the rules say, and the reference stack's own configuration passes them."""

from __future__ import annotations

from pathlib import Path

from roles.lint import lint
from roles.litellm.plan import VERSION
from tests.golden.conftest import Golden
from tests.golden.lint_reference import lint_reference
from tests.inventories import INVENTORY

_PAGE = INVENTORY.parent / "docs" / "lint.md"
_CONFIG = Path(__file__).parent / "gpu-box" / "litellm-unified.yaml"


def test_the_lint_page_is_what_the_rules_say(golden: Golden) -> None:
    golden(_PAGE, lint_reference())


def test_the_reference_stack_has_no_errors() -> None:
    names = ("INSTANCE_KEY", "QWEN_CODER_API_KEY", "PYTHON_API_KEY", "NATIVE_API_KEY")
    environment = dict.fromkeys(names, "set")
    findings = lint(_CONFIG.read_text(), version=VERSION, environment=environment, name=str(_CONFIG))
    assert [str(finding) for finding in findings if finding.severity == "error"] == []
