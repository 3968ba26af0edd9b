"""The facts of a model in a lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roles.contract.gguf import read_header
from roles.fit.checkpoint import facts_of_checkpoint
from roles.fit.facts import facts_of
from roles.fit.stored import Facts, restored, stored
from tests.hollow_models import Hollow, write_hollow
from tests.model_configs import GEMMA_3_4B, LLAMA_3_1_8B


def gguf_facts(folder: Path) -> Facts:
    path = write_hollow(folder / "model.gguf", Hollow("gemma2", tied=True, further={"attention.sliding_window": 512}))
    with path.open("rb") as file:
        return facts_of(read_header(file, path.stat().st_size))


def test_what_is_stored_is_read_back_as_it_was(tmp_path: Path) -> None:
    for facts in (gguf_facts(tmp_path), *(facts_of_checkpoint(each, {}) for each in (LLAMA_3_1_8B, GEMMA_3_4B))):
        assert restored(json.loads(json.dumps(stored(facts)))) == facts


def test_equal_layers_are_stored_once() -> None:
    assert stored(facts_of_checkpoint(LLAMA_3_1_8B, {}))["windows"] == [[32, None]]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"kind": "table"}, "gguf or checkpoint", id="another kind"),
        pytest.param({"trained": "many"}, "'many'", id="a word for a number"),
        pytest.param({"known": 1}, "1 where", id="a number for a truth"),
        pytest.param({"windows": [[10**9, None]]}, "1000000000 layers", id="far too many layers"),
        pytest.param({"windows": 5}, "not what was written", id="a number for a list"),
    ],
)
def test_what_was_not_stored_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        restored({**stored(facts_of_checkpoint(LLAMA_3_1_8B, {})), **changed})
