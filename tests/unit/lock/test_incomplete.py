"""What a lock does not say yet is said, kept apart from what it lacks for good, and asked for the next time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from roles.fit.stored import restored, stored
from roles.lock.entries import (
    Entry,
    LockContent,
    LockedAddress,
    LockedFile,
    LockedLayer,
    LockedModel,
    LockedRevision,
    LockedSource,
)
from roles.lock.incomplete import FROM_PUBLICATIONS, incomplete, missing
from roles.lock.references import Pulled, Reference
from roles.lock.update import updated
from roles.plan import PulledModel
from tests.planned_models import QWEN2_5_1_5B_Q4

READ: Mapping[str, Any] = stored(QWEN2_5_1_5B_Q4)
PUBLISHED: Mapping[str, Any] = {**READ, **FROM_PUBLICATIONS}
SHA256, COMMIT = "a" * 64, "b" * 40
LAYERS = [LockedLayer(kind="model", digest=SHA256, size=1)]


def revision(facts: Any = None, **files: Any) -> LockedRevision:
    """`files`: GGUF files with their facts."""
    locked = {f"{name}.gguf": LockedFile(size=1, sha256=SHA256, facts=each) for name, each in files.items()}
    return LockedRevision(commit=COMMIT, patterns=["*"], files=locked, facts=facts)


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        pytest.param(revision(), ["its files' digests", "its facts"], id="a commit alone"),
        pytest.param(revision(PUBLISHED), ["its files' digests", "its facts"], id="a commit with published facts"),
        pytest.param(revision(m=PUBLISHED), ["its facts"], id="a file with published facts"),
        pytest.param(revision(m=READ, n=None), [], id="a model in two files"),
        pytest.param(revision(m="it is no language model"), [], id="a file that is no language model"),
        pytest.param(LockedModel(digest=SHA256), ["its layers", "its facts"], id="a digest alone"),
        pytest.param(LockedModel(digest=SHA256, layers=LAYERS, facts=READ), [], id="a whole model"),
        pytest.param(LockedAddress(sha256=SHA256), ["its size"], id="a file of unknown size"),
        pytest.param(LockedAddress(sha256=SHA256, size=1), [], id="a file"),
        pytest.param(LockedSource(sha256=SHA256), [], id="a source"),
    ],
)
def test_what_is_missing_is_said(entry: Entry, parts: list[str]) -> None:
    assert missing(entry) == parts


def test_published_facts_are_facts() -> None:
    assert restored(PUBLISHED) == QWEN2_5_1_5B_Q4


def test_the_next_lock_asks_for_what_is_missing_where_it_is() -> None:
    model = Pulled("m:1", PulledModel("m:1", "http://127.0.0.1:1/v2/library/m/manifests/1", SHA256))
    before = LockContent(registry={"m:1": LockedModel(digest=SHA256, size=1, facts=PUBLISHED)})
    assert incomplete(before, [model]) == ["m:1 (its layers and its facts)"]
    asked: list[Entry | None] = []

    def resolve(reference: Reference, keep: Entry | None) -> Entry:
        asked.append(keep)
        return LockedModel(digest=SHA256, size=1, layers=LAYERS, facts=READ)

    now = updated(before, {"box": [model]}, None, resolve)
    assert asked == [before.registry["m:1"]]
    assert now.changes == ("m:1: more is known of aaaaaaaaaaaa (0.0 MB)",)
    assert incomplete(now.content, [model]) == []
    assert updated(now.content, {"box": [model]}, None, resolve).changes == ()
    assert len(asked) == 1


def test_a_host_without_a_lock_lacks_nothing_of_it() -> None:
    assert incomplete(None, [Reference("x")]) == []
