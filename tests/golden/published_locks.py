"""The locks of the reference boxes, from what is published of the models that they name.

The Hub, Ollama's registry and GitHub cannot be reached here: what no publication says stays out, and
`deploys/lock.py` fills it in where the network is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roles.fit.stored import Facts, stored
from roles.lock import Entry, LockContent, Reference, references_of
from roles.lock.entries import LockedAddress, LockedFile, LockedModel, LockedRevision
from roles.lock.file import lock_text
from roles.lock.incomplete import FROM_PUBLICATIONS
from roles.lock.references import Address, Pulled, PythonSet, Revision, Sdist
from roles.lock.resolve import resolve_reference
from roles.rooms import plan_of
from tests.inventories import load_stack
from tests.planned_models import LLAMA_3_1_8B_Q4, QWEN2_5_1_5B_Q4, QWEN2_5_7B_Q4, QWEN2_5_CODER_AWQ

BOXES = ("gpu-16gb", "gpu-box", "gpu-48gb", "cpu-box")
_HEAD = """# What the inventory beside it refers to, exactly, as far as it is published: sizes and digests of copies
# that agree (docs/pins.md), and facts of models that were computed from sizes and shapes. The rest is filled in by
#     python deploys/lock.py {inventory}
# Obeyed by every deploy. Written by `make golden`; do not edit it.
"""

_PULLED: Mapping[str, tuple[int, Facts]] = {
    "llama3.1:latest": (4_920_753_328, LLAMA_3_1_8B_Q4),
    "qwen2.5-coder:7b": (4_683_087_561, QWEN2_5_7B_Q4),
}
_FILES: Mapping[str, tuple[int, str, Facts | None]] = {
    "qwen2.5-1.5b-instruct-q4_k_m.gguf": (
        1_117_320_736, "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e", QWEN2_5_1_5B_Q4
    ),
    "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf": (
        3_993_201_344, "dfce12e3862a5283ccfb88221b48480e58745165de856439950d0f22590580db", QWEN2_5_7B_Q4
    ),
    "qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf": (
        689_872_288, "539cf93f78e887edea1c04e2d7d8cdaca9d01dae9c9025bcb8accbe29df3d72a", None
    ),
}  # fmt: skip
_WHOLE: Mapping[str, Facts] = {"Qwen/Qwen2.5-Coder-7B-Instruct-AWQ": QWEN2_5_CODER_AWQ}
_SIZES: Mapping[str, int] = {"ollama-linux-amd64.tar.zst": 1_422_416_084}


def published_lock(box: str) -> str:
    """The lock of an inventory, as text."""
    references = references_of(plan_of(load_stack(f"{box}.py", box)))
    sections: dict[str, dict[str, Entry]] = {}
    for reference in references:
        sections.setdefault(reference.section, {})[reference.key] = _entry(reference)
    content = LockContent.model_validate({"hosts": {box: sorted(each.key for each in references)}, **sections})
    return _HEAD.format(inventory=Path("inventory", f"{box}.py")) + lock_text(content)


def _entry(reference: Reference) -> Entry:
    match reference:
        case Revision(of=of, patterns=patterns):
            files = {
                path: LockedFile(size=size, sha256=sha256, facts=_facts(facts))
                for path, (size, sha256, facts) in _FILES.items()
                if path in patterns
            }
            facts = _facts(_WHOLE.get(of.repository))
            return LockedRevision(commit=of.revision, patterns=list(patterns), files=files, facts=facts)
        case Pulled(key=key, model=model):
            size, known = _PULLED[key]
            assert model.digest
            return LockedModel(digest=model.digest, size=size, facts=_facts(known))
        case Address(key=key, sha256=sha256):
            assert sha256
            return LockedAddress(sha256=sha256, size=_SIZES[key.rsplit("/", 1)[-1]])
        case Sdist() | PythonSet():
            return resolve_reference(reference, None)
    raise AssertionError(reference)


def _facts(facts: Facts | None) -> dict[str, Any] | None:
    return {**stored(facts), **FROM_PUBLICATIONS} if facts else None
