"""Options: whatever an inventory gives makes a group, or one message that shows no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.data import VALUES
from roles.litellm import LiteLLM
from roles.options import Client, Deployment, EnvSecret, OptionsError, Route, Stack
from roles.rooms import members_of, plan_of
from tests.fuzz_values import ANYTHING, SECRET, TEXTS, refusal
from tests.option_groups import GROUPS, public_names
from tests.stacks import native, python

EXAMPLES: dict[tuple[Any, str], Any] = {}
for _group in GROUPS:
    for _option, _field in _group.model_fields.items():
        try:
            _text = f"dict({_field.examples[0]})" if _field.examples else "{}"
            EXAMPLES[_group, _option] = eval(_text, {"__builtins__": {}, "dict": dict, **public_names()})[_option]
        except (OptionsError, KeyError):
            continue


def made_or_refused(make: Callable[[], object]) -> None:
    message = refusal(make, OptionsError)
    assert message.isprintable(), message
    assert SECRET not in message
    assert len(message) < 20_000


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
@given(data=st.data())
def test_a_group_is_made_or_refused_in_one_message(group: Any, data: st.DataObject) -> None:
    options = {name: EXAMPLES[group, name] for name in group.model_fields if (group, name) in EXAMPLES}
    for name in data.draw(st.lists(st.sampled_from([*group.model_fields, "no_such_option"]), max_size=3)):
        if data.draw(st.booleans()):
            options[name] = data.draw(ANYTHING)
        else:
            options.pop(name, None)
    by_place = data.draw(st.lists(ANYTHING, max_size=2)) if data.draw(st.integers(0, 9)) == 0 else []
    made_or_refused(lambda: group(*by_place, **options))


NAMES = st.sampled_from(["n", "p", "a", "b", "c", "native", "python", "litellm", "ghost"])
SOME = st.lists(NAMES, max_size=3)


@given(
    routes=st.lists(
        st.builds(
            dict,
            name=NAMES,
            deployments=st.lists(st.builds(dict, provider=NAMES, model=st.none() | NAMES), max_size=3),
            fallbacks=SOME,
            context_window_fallbacks=SOME,
            content_policy_fallbacks=SOME,
            context_size=st.none() | st.integers(1, 3),
            mode=st.sampled_from(["chat", "embedding", "rerank"]),
        ),
        max_size=5,
    ),
    aliases=st.dictionaries(NAMES, NAMES, max_size=5),
    clients=st.lists(st.builds(dict, name=NAMES, routes=SOME), max_size=3),
    default=SOME,
)
def test_a_stack_is_made_and_planned_or_refused_in_one_message(
    routes: list[Any], aliases: dict[str, str], clients: list[Any], default: list[str]
) -> None:
    def planned() -> object:
        declared = [{**each, "deployments": [Deployment(**one) for one in each["deployments"]]} for each in routes]
        return plan_of(
            Stack(
                providers=[native(), python()],
                gateway=LiteLLM(default_fallbacks=default),
                routes=[Route(**each) for each in declared],
                aliases=aliases,
                clients=[Client(**each) for each in clients],
            )
        )

    made_or_refused(planned)


HOSTS = st.sampled_from(["a", "b", "ghost"])


@given(
    uses=st.dictionaries(
        HOSTS, st.lists(st.tuples(HOSTS, NAMES, st.none() | NAMES), min_size=1, max_size=3), max_size=3
    ),
    addresses=st.dictionaries(HOSTS, st.sampled_from(["10.0.0.4", "10.0.0.5", "10.0.0.6"]), max_size=3),
    given_keys=st.booleans(),
)
def test_a_fleet_is_planned_or_refused_in_one_message(
    uses: dict[str, list[tuple[str, str, str | None]]], addresses: dict[str, str], given_keys: bool
) -> None:
    def planned() -> object:
        key = {"api_key": EnvSecret("BACKEND_API_KEY")} if given_keys else {}
        stacks = {
            host: Stack(
                providers=[native(**key), python(**key)],
                gateway=LiteLLM(),
                routes=[
                    Route(name="n", deployments=[Deployment(provider=f"{to}/{name}", model=model)])
                    for to, name, model in uses.get(host, [])[:1]
                ]
                or [Route(name="n", deployments=[Deployment(provider="native")])],
                address=addresses.get(host),
            )
            for host in ("a", "b")
        }
        return [plan_of(each.stack, place=each.place) for each in members_of(stacks).values()]

    made_or_refused(planned)


def test_many_ways_through_fallbacks_are_looked_at_once() -> None:
    """Each of 40 routes leads to the next two: as many ways as there are Fibonacci numbers."""
    names = [f"r{number}" for number in range(40)]
    routes = [
        Route(name=name, deployments=[Deployment(provider="native")], context_window_fallbacks=names[number + 1 :][:2])
        for number, name in enumerate(names)
    ]
    Stack(providers=[native()], gateway=LiteLLM(), routes=routes)


@pytest.mark.parametrize("value", VALUES.values(), ids=lambda value: value.name)
@given(given_=ANYTHING | TEXTS)
def test_a_value_of_the_command_line_is_read_or_refused_in_one_message(value: Any, given_: object) -> None:
    made_or_refused(lambda: value.read(given_))
