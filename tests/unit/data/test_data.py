"""What `--data` may give: each value takes its own form in every spelling, and names itself where it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roles.data import (
    AT_ONCE,
    GENERATION,
    REPORT,
    REQUEST,
    ROTATE,
    SSH_SILENCE,
    TAKE_OVER,
    UPGRADE,
    VALUES,
    VERIFY,
    Value,
    of_deploys,
)
from roles.data.__main__ import listing
from roles.options import OptionsError
from tests.inventories import INVENTORY

AWKWARD = ["970236", "000123", "12e456", "1e5", "0x12", "true", "null", "[1]", "1_000", "NaN"]
TWO_LINES = pytest.param("two\nlines", id="two lines")
DEPLOYS = {file.stem for file in (INVENTORY.parent / "deploys").glob("*.py")} - {"fit"}
"""Those that read values. `fit` has options of a plain command."""


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("value", [GENERATION, ROTATE, REPORT], ids=lambda value: value.name)
def test_a_name_is_a_name_however_it_looks(value: Value[str], text: str) -> None:
    assert value.read(text) == text


@pytest.mark.parametrize("given", ["", "  ", 1.5, True, None, pytest.param(["a"], id="list"), TWO_LINES])
def test_what_is_no_name_is_refused(given: object) -> None:
    with pytest.raises(
        OptionsError, match=r"`rotate` is to be the name of a client, not .*; for ex.* --data rotate=ada"
    ):
        ROTATE.read(given)


def test_a_whole_number_of_an_inventory_is_its_digits() -> None:
    assert GENERATION.read(970236) == "970236"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param("a.service", ("a.service",), id="one"),
        pytest.param(" a.service , /etc/ai-backend,a.service,", ("a.service", "/etc/ai-backend"), id="several"),
        pytest.param("7,000123", ("7", "000123"), id="digits"),
    ],
)
def test_names_with_commas_between_them(given: str, names: tuple[str, ...]) -> None:
    assert TAKE_OVER.read(given) == names


@pytest.mark.parametrize("given", ["", " , ", 7, None, pytest.param(["a"], id="list"), TWO_LINES])
def test_what_are_no_names(given: object) -> None:
    with pytest.raises(OptionsError, match=r"`take_over` is to be names with commas between them, not "):
        TAKE_OVER.read(given)


@pytest.mark.parametrize("given", ["yes", "Yes", "true", "TRUE", "on", "1", True, 1])
def test_yes(given: object) -> None:
    assert AT_ONCE.read(given) is True


@pytest.mark.parametrize("given", ["no", "No", "false", "FALSE", "off", "0", False, 0])
def test_no(given: object) -> None:
    assert AT_ONCE.read(given) is False


@pytest.mark.parametrize("given", ["", "maybe", "y", "2", 2, 1.0, None, "null", "yes "])
def test_neither_yes_nor_no(given: object) -> None:
    with pytest.raises(OptionsError, match=r"`at_once` is to be yes or no, not .*; for example --data at_once=yes"):
        AT_ONCE.read(given)


@pytest.mark.parametrize("given", ["1", "120", "2.5", 86400, 1.0, "0120"])
def test_seconds(given: object) -> None:
    assert SSH_SILENCE.read(given) == float(str(given))


@pytest.mark.parametrize(
    "given",
    [
        *("no", "0", "-1", "0.5", "86401", "12e456", "1e3", "inf", "NaN", "0x12", "1_000", "\u0661\u0662", "9" * 5000),
        *(0, True, None, float("inf"), float("nan")),
    ],
    ids=lambda given: ascii(given)[:20].replace("\\", ""),
)
def test_what_is_no_number_of_seconds_is_refused(given: object) -> None:
    with pytest.raises(
        OptionsError, match="`ssh_silence` is to be a number of seconds from 1 to 86400, not "
    ) as caught:
        SSH_SILENCE.read(given)
    assert len(str(caught.value)) < 200


def test_a_number_that_python_does_not_print_is_refused_too() -> None:
    with pytest.raises(OptionsError, match="not a number of that size"):
        SSH_SILENCE.read(10**5000)


@pytest.mark.parametrize("given", ["api", "APIS", "", None, True, "apis,faults"])
def test_a_word_of_several(given: object) -> None:
    with pytest.raises(OptionsError, match="`verify` is to be apis or faults or speed, not "):
        VERIFY.read(given)
    assert VERIFY.read("apis") == "apis"


@pytest.mark.parametrize("value", VALUES.values(), ids=lambda value: value.name)
def test_each_value_has_an_example_that_works_and_readers_that_exist(value: Value[object]) -> None:
    name, _, text = value.example.partition("=")
    assert name == value.name
    value.read(text)
    assert value.deploys
    assert set(value.deploys) <= DEPLOYS
    assert f"--data {value.example}" in listing()


def test_an_id_of_a_request_is_refused_in_any_other_form() -> None:
    words = "`request` is to be the id of a request, which its answer has in `x-request-id`"
    for given in ("a b", "", "x" * 129, "--flag=1", "a;b", "é", 1.5, True, None, ["a"]):
        with pytest.raises(OptionsError, match=words):
            REQUEST.read(given)


def test_an_id_of_a_request_is_taken_as_it_was_written() -> None:
    for given in ("970236", 970236, "12e456", "000123", "0b0c7f5e-8f1f-4a53-9d53-3d1fb7d3a2f1", " a_B-1 ", "-a"):
        assert REQUEST.read(given) == str(given).strip()


def test_every_deploy_is_known() -> None:
    assert {*SSH_SILENCE.deploys, *UPGRADE.deploys} == DEPLOYS


def test_a_deploy_reads_its_own_values_and_a_foreign_one_all() -> None:
    assert of_deploys(["rollback"]) == {"generation", "ssh_silence"}
    assert of_deploys(["rollback", "verify"]) == {"generation", "ssh_silence", "report", "verify"}
    assert of_deploys(["full"]) == {"at_once", "oversized", "ssh_silence", "take_over", "unlocked"}
    assert of_deploys(["mine", "full"]) == of_deploys([]) == set(VALUES)


def test_nothing_reads_a_value_by_another_way() -> None:
    reads = re.compile(r"\.data\.(?!get\(value\.name\)|stack\b|get\(\"stack\"\))\w+")
    for file in [*Path("roles/host").rglob("*.py"), Path("roles/deploy.py"), Path("roles/checked_plans.py")]:
        assert reads.findall((INVENTORY.parent / file).read_text()) == [], file
