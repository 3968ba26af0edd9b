"""LiteLLM's start: the garbage collector of Python 3.11 runs where it harms nothing (python/cpython#148891)."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

import roles.litellm
from roles.litellm.start_litellm import trust
from tests.certificates import issue

FOLDER = Path(roles.litellm.__file__).parent

_HARMFUL = """
import contextvars, gc, sys, time
folder, threshold, by_signal = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "by signal"
sys.path.append(folder)
from start_litellm import Collector
many = [contextvars.ContextVar(str(number)) for number in range(24)]
finalized = 0

class Client:
    '''As those of aiohttp: the collector ends it, and what its end logs sets context variables.'''
    def __init__(self):
        self.me = self
    def __del__(self):
        global finalized
        finalized += 1
        for variable in many:
            variable.set([])

if by_signal:
    Collector().start(0.001)
gc.set_threshold(threshold, 10, 10)
began = time.monotonic()
while time.monotonic() < began + 2 or (not finalized and time.monotonic() < began + 30):
    Client()
    for variable in many:
        variable.set([])
sys.exit(0 if finalized else "nothing was collected")
"""
_THRESHOLDS = (3, 5, 7, 9)
"""They decide in which allocations the collector runs. With most others it never crashes."""


def _run(threshold: int, how: str) -> subprocess.CompletedProcess[str]:
    # Python's debug allocator fills what is freed, so that reading it is noticed.
    return subprocess.run(
        [sys.executable, "-c", _HARMFUL, FOLDER, str(threshold), how],
        env={"PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("threshold", _THRESHOLDS)
def test_what_the_collector_ends_sets_context_variables_and_nothing_crashes(threshold: int) -> None:
    done = _run(threshold, "by signal")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from 3.12 on, Python's own collector runs so")
def test_without_it_this_python_crashes() -> None:
    assert any(_run(threshold, "as ever").returncode == -signal.SIGSEGV for threshold in _THRESHOLDS)


_GARBAGE = """
import gc, sys, time
sys.path.append(sys.argv[1])
from start_litellm import Collector
collected = []
gc.callbacks.append(lambda phase, info: phase == "stop" and collected.append(info["generation"]))
Collector().start(0.001)
kept = []
began = time.monotonic()
# As long as it takes: a machine that is busy elsewhere leaves it little time.
while time.monotonic() < began + 1 or (set(collected) < {0, 1, 2} and time.monotonic() < began + 30):
    kept.append([])
    if len(kept) > 200_000:
        kept.clear()
    loop = []
    loop.append(loop)
print(sorted(set(collected)), gc.isenabled(), len(gc.get_objects()) < 500_000, gc.get_freeze_count() > 1000)
"""


def test_all_generations_are_collected_but_for_what_the_start_has_made() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GARBAGE, FOLDER], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[0] == "[0, 1, 2] False True True"


def test_a_further_authority_is_trusted_beside_the_usual_ones(tmp_path: Path) -> None:
    own, _ = issue(tmp_path, "own", "ai.example.com")
    usual = ssl.create_default_context(cafile=certifi.where())
    context = ssl.create_default_context(cafile=trust(str(own)))
    assert len(context.get_ca_certs()) == len(usual.get_ca_certs()) + 1
