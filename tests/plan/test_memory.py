"""A plan that does not fit into the host's memory ends the run, unless a person knows better."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hollow_models import Hollow, write_hollow
from tests.plan.fake import passing_verdict, run_pyinfra

_STACK = """
model = LocalFile(path={path!r}, sha256="{digest}")
stack = small_stack(providers=[native(model=model, context_size=131072), python()])
small = lambda read: read.update(main_memory=2 << 30)
hosts = [fake("box", stack, small, verdict={verdict!r})]
"""


@pytest.mark.parametrize("deploy", ["full.py", "preflight.py", "prepare.py"])
def test_a_host_with_too_little_main_memory_is_refused_with_the_table(tmp_path: Path, deploy: str) -> None:
    path = write_hollow(tmp_path / "m.gguf", Hollow(layers=8))
    text = _STACK.format(path=str(path), digest="0" * 64, verdict=passing_verdict())
    run = run_pyinfra(tmp_path, text, deploy)
    assert run.status == 1
    assert run.steps() == []
    words = " ".join(run.output.split())
    assert "the models do not fit into main memory: MiB of main memory weights KV cache" in words
    assert 'the host has 2048: give LlamaServer "native" a context of at most ' in words
    assert "let it pass with --data oversized=yes" in words
    assert "Traceback" not in run.output
    passed = run_pyinfra(tmp_path, text, deploy, options=("--data", "oversized=yes"))
    assert passed.status == 0, passed.output
    assert "warning: the models do not fit into main memory:" in passed.output
