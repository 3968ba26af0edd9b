"""Real hosts for tests. A lab that cannot start is an error, never a skip."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.lab.prepared import prepared_disk
from tests.labhost import Lab, LabError, LabHost
from tests.labhost.faulty_mirror import FaultyMirror

_HERE = Path(__file__).parent
_SHORTEST_LAST = (
    "test_single_faults",
    "test_rotation",
    "test_client_keys",
    "test_tls",
    "test_labhost",
    "test_local_user",
    "test_user_scope",
    "test_host_checks",
    "test_monitoring",
    "test_toy_service",
    "test_gpu_host",
    "test_models",
    "test_hostile_sources",
    "test_anonymous_network",
    "test_ollama_stand_in",
)
"""The files of some minutes or less, by how long they take."""


class NewHost(Protocol):
    def __call__(self, name: str = "host", *, prepared: bool = False, **options: Any) -> LabHost:
        """Boot a host that goes with the test.

        Args:
            prepared: it begins with packages and installs on its disk (`prepared_disk`), so that what a test deploys
                needs seconds and not minutes. For tests that are not about making those.
            options: those of `Lab.create`.
        """
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="repeat what `make test` does a few times many more times")


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether this is `make soak`: a test that is marked so then runs longer."""
    return bool(pytestconfig.getoption("--soak"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, leave out those for `make soak` alone, and put the files that take longest first:
    then all workers end together."""
    if not config.getoption("--soak"):
        left_out = [item for item in items if item.get_closest_marker("soak_only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: _SHORTEST_LAST.index(item.path.stem) if item.path.stem in _SHORTEST_LAST else -1)


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()


@pytest.fixture
def new_host(lab: Lab) -> Iterator[NewHost]:
    """A function that boots hosts for one test."""
    with hosts_that_go(lab) as create:
        yield create


@pytest.fixture(scope="module")
def new_module_host(lab: Lab) -> Iterator[NewHost]:
    """The same for hosts that all tests of a module share."""
    with hosts_that_go(lab) as create:
        yield create


@contextlib.contextmanager
def hosts_that_go(lab: Lab) -> Iterator[NewHost]:
    """Destroy at the end what was created; should this process be killed before, the supervisors see to it."""
    hosts: list[LabHost] = []

    def create(name: str = "host", *, prepared: bool = False, **options: Any) -> LabHost:
        if prepared:
            options["disks"] = [prepared_disk(lab)]
        # Several test runs share the machine, so a host's name carries the number of its process.
        host = lab.create(f"{name}-{os.getpid()}", **{"owner": os.getpid(), **options})
        hosts.append(host)
        return host

    try:
        yield create
    finally:
        for host in hosts:
            with contextlib.suppress(LabError):  # a test may have destroyed it itself
                host.destroy()


@pytest.fixture
def mirror(lab: Lab, tmp_path: Path) -> Iterator[FaultyMirror]:
    """A file server for one test, that fails on request, where hosts reach it."""
    folder = tmp_path / "served"
    folder.mkdir()
    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with FaultyMirror(folder, address) as mirror:
        yield mirror
