"""What travels between machines and versions: requests to host programs, their answers, and the manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from roles.contract import manifest
from roles.contract.clients import KeysState
from roles.contract.history import KeptGenerations
from roles.contract.requests import Request
from roles.contract.state import HostState
from roles.contract.wire import WireError, read, written
from roles.host.program import answer
from roles.plan import resolve
from roles.rooms import plan_of
from roles.verify.loading import ConfigError, load_generation
from tests.fuzz_values import JSON, damaged, refusal
from tests.stacks import PLATFORM, converged_state, small_stack

PLAN = plan_of(small_stack())
FILES = (manifest.PROVIDERS_FILE, manifest.MODELS_FILE)


def _below(base: type[Request]) -> list[type[Request]]:
    found = [each for each in base.__subclasses__() if dataclasses.is_dataclass(each)]
    return [*found, *(one for each in found for one in _below(each))]


@pytest.mark.parametrize("shape", dict.fromkeys(_below(Request)), ids=lambda shape: shape.__name__)
@given(data=st.data())
def test_a_request_is_read_or_refused(shape: type[Request], data: st.DataObject) -> None:
    names = [field.name for field in dataclasses.fields(shape)]
    content = data.draw(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON)))
    try:
        found = read(shape, content, strict=data.draw(st.booleans()))
    except WireError:
        return
    assert read(shape, json.loads(json.dumps(written(found)))) == found


STATE = json.loads(json.dumps(converged_state(PLAN, resolve(PLAN, PLATFORM))))


@pytest.mark.parametrize("shape", [HostState, KeysState, KeptGenerations], ids=lambda shape: shape.__name__)
@given(content=JSON | damaged(STATE), text=st.none() | st.text(max_size=50))
def test_an_answer_is_read_or_refused(shape: type[object], content: object, text: str | None) -> None:
    line = json.dumps(content) if text is None else text
    refusal(lambda: answer(shape, ["some output", line]), FactProcessError)


def load(folder: Path, changed: str, text: str) -> None:
    """Load a generation with one of its files changed."""
    for name in FILES:
        (folder / name).write_text(text if name == changed else PLAN.files[name], errors="surrogatepass")
    message = refusal(lambda: load_generation(folder), ConfigError)
    assert message.startswith(f"{folder}/" if message else "")
    assert "\n" not in message
    assert len(message) < 5_000


MANIFESTS = {name: yaml.safe_load(PLAN.files[name]) for name in FILES}


@pytest.mark.parametrize("changed", FILES)
@given(data=st.data())
def test_a_damaged_manifest_is_read_or_refused_in_one_message(
    tmp_path: Path, changed: str, data: st.DataObject
) -> None:
    text = PLAN.files[changed]
    kind = data.draw(st.sampled_from(["values", "text", "cut", "yaml"]))
    if kind == "values":
        text = json.dumps(data.draw(damaged(MANIFESTS[changed])))
    elif kind == "cut":
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.text(max_size=20)) + text[data.draw(st.integers(place, len(text))) :]
    elif kind == "text":
        text = data.draw(st.text(max_size=200))
    else:
        pieces = [
            "&a ",
            "*a",
            "[",
            "]",
            "{",
            "}",
            ": ",
            "- ",
            "\n",
            "  ",
            "? ",
            "<<",
            "2026-99-99",
            "!!int x",
            "0x_",
            "? [1]",
        ]
        text = "".join(data.draw(st.lists(st.sampled_from([*pieces, "a", "1", "providers:"]), max_size=40)))
    load(tmp_path, changed, text)


@pytest.mark.parametrize("changed", FILES)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 50_000, id="deep"),
        pytest.param("a: &a [*a]", id="a circle"),
        pytest.param("a: 2026-99-99", id="no day"),
        pytest.param("? [1, 2]\n: 3", id="a list for a key"),
        pytest.param("a: " + "9" * 5000, id="a long number"),
        pytest.param("a: !!python/object:os.system {}", id="an object"),
        pytest.param("\x00", id="NUL"),
        pytest.param(
            "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]), id="growing"
        ),
    ],
)
def test_a_manifest_that_means_harm_is_refused(tmp_path: Path, changed: str, text: str) -> None:
    load(tmp_path, changed, text)
