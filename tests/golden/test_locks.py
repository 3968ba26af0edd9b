"""The reference boxes have locks: what is published of all that they refer to, and nothing else."""

from __future__ import annotations

import pytest

from roles.lock import incomplete, lock_file, locked_facts, pins_of, problems, read_lock_file, references_of
from roles.plan import not_known
from roles.rooms import plan_of
from tests.golden.conftest import Golden
from tests.golden.published_locks import BOXES, published_lock
from tests.inventories import INVENTORY, load_stack


@pytest.mark.parametrize("box", BOXES)
def test_a_lock_says_what_is_published(golden: Golden, box: str) -> None:
    golden(lock_file(INVENTORY / f"{box}.py"), published_lock(box))


@pytest.mark.parametrize("box", BOXES)
def test_a_box_is_deployed_from_its_lock(box: str) -> None:
    stack, lock = load_stack(f"{box}.py", box), read_lock_file(lock_file(INVENTORY / f"{box}.py"))
    assert lock
    references = references_of(plan_of(stack))
    assert problems(lock, references) == ([], [])
    assert {reference.key for reference in references} == {*lock.hosts[box]}
    plan = plan_of(stack, pins_of(lock, references), known=locked_facts(lock, not_known))
    assert [use.unknown for use in plan.uses] == [""] * len(plan.uses)
    still = incomplete(lock, references)
    assert "llama3.1:latest (its layers and its facts)" in still
    assert not [each for each in still if each.startswith(("litellm", "https://github.com/ollama/"))]
