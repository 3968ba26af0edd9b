"""The page of reference boxes says what their memory plans say, and each fits its card."""

from __future__ import annotations

import pytest

from roles.plan import memory_plan
from roles.rooms import plan_of
from tests.golden.cards_reference import cards_page
from tests.golden.conftest import Golden
from tests.inventories import INVENTORY, load_stack
from tests.planned_models import published


def test_the_page_of_cards_is_what_the_plans_say(golden: Golden) -> None:
    golden(INVENTORY.parent / "docs" / "cards.md", cards_page())


@pytest.mark.parametrize("name", ["gpu-16gb", "gpu-box", "gpu-48gb"])
def test_a_reference_box_fits_its_card(name: str) -> None:
    plan = plan_of(load_stack(f"{name}.py", name), known=published)
    (card,) = memory_plan(plan.uses, plan.card_sizes)
    assert card.unknown == ()
    assert card.problems() == []
    assert card.size
