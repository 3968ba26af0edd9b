"""Property tests: whatever is read, there is a value or one message: no traceback, no hang, no memory beyond a bound.

`make quick` tries the same few examples each time. `FUZZ_SECONDS=75` tries new ones for that long in each test, as
`make soak` does; an example that fails is printed with what makes it fail again.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
_MOST_MEMORY = 300 << 10
"""KiB that a test may take beside what the process had before."""

# An example that takes 10 s hangs, even on a busy machine: the usual ones take milliseconds.
_COMMON = settings(
    deadline=10_000,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
settings.register_profile("quick", _COMMON, max_examples=40, derandomize=True)
settings.register_profile("soak", _COMMON, max_examples=300, print_blob=True)
settings.load_profile("soak" if SECONDS else "quick")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Repeats a test for `FUZZ_SECONDS`, each time with new examples."""
    if not SECONDS or not getattr(pyfuncitem.obj, "is_hypothesis_test", False):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pyfuncitem.obj(**given)
    return True


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < _MOST_MEMORY, f"it took {(after - before) >> 10} MiB"
