"""Shapes that cross a border arrive as they were sent, and what is not of the shape is refused with its place."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from roles.contract import history, requests, state
from roles.contract.generation import ActivatedUnit, Drain, Live, Spare
from roles.contract.requests import Request, WriteGeneration
from roles.contract.wire import WireError, read, written
from roles.host.program import PACKAGE


@dataclass(frozen=True)
class Inner:
    name: str
    kind: Literal["one", "other"] = "one"


@dataclass(frozen=True)
class Outer:
    number: int
    share: float
    pairs: tuple[tuple[str, int], ...] = ()
    inner: Inner | None = None
    named: Mapping[str, Inner] = dataclasses.field(default_factory=dict)
    anything: Any = None


WHOLE = Outer(1, 2, (("a", 3),), Inner("x", "other"), {"k": Inner("y")}, {"free": [1, None]})
UNIT = ActivatedUnit(
    name="litellm@a.service",
    kind="server",
    digest="abc",
    ready_url="http://127.0.0.1:4001/health",
    done_file=None,
    timeout=5,
    stop_timeout=6,
    drain=Drain("s", "gateway", "a", 7),
    live=Live("s", "keys", ("/a.env",), "KEY", "gateway", (Spare("a", "litellm@a.service", True),), 8),
)


@pytest.mark.parametrize("value", [pytest.param(WHOLE, id="all kinds"), pytest.param(UNIT, id="a unit's activation")])
def test_what_was_written_is_read(value: Any) -> None:
    assert read(type(value), json.loads(json.dumps(written(value)))) == value


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"nubmer": 1}, "Outer has no nubmer", id="a misspelled key"),
        pytest.param({"number": "1"}, "Outer.number is '1', not int", id="another type"),
        pytest.param({"number": True}, "Outer.number is True, not int", id="true for a number"),
        pytest.param({"pairs": "ab"}, "Outer.pairs is 'ab', not a list", id="a text for a list"),
        pytest.param({"pairs": [["a"]]}, "Outer.pairs[0] has 1 items, not 2", id="half a pair"),
        pytest.param({"inner": {"kind": "one"}}, "Outer.inner.name is missing", id="a missing key"),
        pytest.param(
            {"named": {"k": {"name": "y", "kind": "third"}}},
            "Outer.named.k.kind is 'third', not one of 'one', 'other'",
            id="no such choice",
        ),
        pytest.param({"named": []}, "Outer.named is [], not a mapping", id="a list for a mapping"),
    ],
)
def test_what_is_not_of_the_shape_is_refused_with_its_place(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(WireError) as refused:
        read(Outer, {**written(WHOLE), **change})
    assert str(refused.value) == problem


def test_what_another_version_adds_does_not_matter_where_that_is_wanted() -> None:
    assert read(Inner, {"name": "x", "since": "later"}, strict=False) == Inner("x")


def _request_types() -> list[type[Request]]:
    found = [value for module in (requests, history, state) for value in vars(module).values()]
    return [each for each in found if inspect.isclass(each) and issubclass(each, Request) and hasattr(each, "program")]


@pytest.mark.parametrize("shape", [pytest.param(each, id=each.__name__) for each in dict.fromkeys(_request_types())])
def test_each_request_names_a_program_that_takes_it(shape: type[Request]) -> None:
    main = importlib.import_module(f"{PACKAGE}.{shape.program}").main
    (parameter,) = inspect.signature(main, eval_str=True).parameters.values()
    assert shape in (getattr(parameter.annotation, "__args__", None) or (parameter.annotation,))


def test_a_generation_travels_as_it_is() -> None:
    generation = WriteGeneration(
        state="/s", scope="user", folder="/g", files={"a": ("eA==", 0o600)}, links={}, generated_secrets=()
    )
    assert read(WriteGeneration, json.loads(json.dumps(written(generation)))) == generation
