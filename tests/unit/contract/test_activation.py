"""`activation.json`, as this version and earlier ones have written them."""

from __future__ import annotations

import json

import pytest

from roles.contract.activation import ActivationFile, read_activation
from roles.contract.generation import ActivatedUnit
from roles.contract.wire import written

UNIT = ActivatedUnit(
    name="ai-backend-firewall.service",
    kind="task",
    digest="abc",
    ready_url=None,
    done_file="ai-backend-firewall/done",
    timeout=30,
    stop_timeout=30,
    effect_command=("nft", "list", "table"),
)


def contents() -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(json.dumps(written(ActivationFile(units=(UNIT,)))))
    return found


def test_what_is_written_is_read() -> None:
    assert read_activation(json.dumps(contents())).units == (UNIT,)


def test_an_earlier_versions_name_of_a_key_is_read_and_a_later_ones_keys_are_ignored() -> None:
    earlier = contents()
    unit = earlier["units"][0]
    unit["holds"] = unit.pop("effect_command")
    unit["of a later version"] = 1
    assert read_activation(json.dumps(earlier)).units == (UNIT,)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"units": 1}', '{"units": [1]}', '{"units": [{}]}'])
def test_a_damaged_file_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_activation(text)
