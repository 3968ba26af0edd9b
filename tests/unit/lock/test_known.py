"""The facts of models that a lock has."""

from __future__ import annotations

import pytest

from roles.fit.stored import stored
from roles.lock import LockContent, locked_facts
from roles.lock.entries import LockedAddress, LockedFile, LockedModel, LockedRevision
from roles.options import HubFile, HubModel, UrlFile
from roles.plan import LoadSource, not_known
from tests.planned_models import LLAMA_3_1_8B_Q4, QWEN2_5_1_5B_Q4, QWEN2_5_CODER_AWQ

COMMIT, DIGEST = "c" * 40, "d" * 64
SPLIT = "m-00001-of-00002.gguf"
LOCK = LockContent(
    hub={
        "a/gguf@main": LockedRevision(
            commit=COMMIT,
            patterns=[SPLIT],
            files={SPLIT: LockedFile(size=1, sha256=DIGEST, facts=stored(QWEN2_5_1_5B_Q4))},
        ),
        "a/awq@main": LockedRevision(commit=COMMIT, patterns=["*"], facts=stored(QWEN2_5_CODER_AWQ)),
        "a/odd@main": LockedRevision(commit=COMMIT, patterns=["*"], facts="it has no config.json"),
    },
    registry={"llama3.1": LockedModel(digest=DIGEST, facts=stored(LLAMA_3_1_8B_Q4))},
    addresses={"https://x.example/m.gguf": LockedAddress(sha256=DIGEST, facts=stored(QWEN2_5_1_5B_Q4))},
)


@pytest.mark.parametrize(
    ("source", "facts"),
    [
        pytest.param("llama3.1", LLAMA_3_1_8B_Q4, id="of a registry"),
        pytest.param(HubFile(repository="a/gguf", revision="main", file=SPLIT), QWEN2_5_1_5B_Q4, id="in two files"),
        pytest.param(HubModel(repository="a/awq", revision="main"), QWEN2_5_CODER_AWQ, id="a repository"),
        pytest.param(UrlFile(url="https://x.example/m.gguf", sha256=DIGEST), QWEN2_5_1_5B_Q4, id="an address"),
        pytest.param(HubModel(repository="a/odd", revision="main"), "it has no config.json", id="without facts"),
        pytest.param("other", not_known("other"), id="not in the lock"),
    ],
)
def test_a_model_has_the_facts_that_the_lock_has(source: LoadSource, facts: object) -> None:
    assert locked_facts(LOCK, not_known)(source) == facts


def test_without_a_lock_only_the_others_are_known() -> None:
    assert locked_facts(None, lambda source: "asked")("llama3.1") == "asked"
