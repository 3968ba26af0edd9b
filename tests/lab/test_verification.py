"""A host with nothing wrong is green each time, and soon; also after the power failed in a deploy."""

from __future__ import annotations

import random
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, failures, inventory_file, verdict
from tests.labhost import LabHost

GREEN_RUNS = {False: 10, True: 50}
MORE_SECONDS = 2
"""That the whole verification may take beyond the slowest answer of a model."""
CUTS = 10
CONTEXT_SIZES = (1024, 1536)


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    host = new_module_host("cut", prepared=True)
    deploy(host).must_pass()
    return host


@pytest.mark.soak
def test_with_nothing_wrong_the_verdict_is_green_each_time_and_soon(host: LabHost, soak: bool) -> None:
    more = []
    for number in range(GREEN_RUNS[soak]):
        found = verdict(host)
        assert failures(found) == [], f"run {number}"
        answers = [check["seconds"] for check in found["checks"] if check["id"].startswith("route/")]
        more.append(found["seconds"] - max(answers))
    print(
        f"{len(more)} runs, beyond the slowest answer: median {statistics.median(more):.2f} s, most {max(more):.2f} s"
    )
    assert statistics.median(more) <= MORE_SECONDS


def generation(host: LabHost) -> str:
    return Path(host.run("readlink /etc/ai-backend").stdout.strip()).name


@pytest.mark.soak_only
def test_a_power_cut_at_any_moment_leaves_one_generation_or_the_other(host: LabHost, tmp_path: Path) -> None:
    inventories = []
    for size in CONTEXT_SIZES:
        (tmp_path / str(size)).mkdir()
        options = f"native={{'context_size': {size}}}, gateway={{'cooldown': {size}}}"
        inventories.append(inventory_file(tmp_path / str(size), f"hosts = [lab_host(lab_stack({options}))]"))
    took = []
    for inventory in inventories:
        began = time.monotonic()
        deploy(host, inventory=inventory).must_pass()
        took.append(time.monotonic() - began)
    known = {generation(host)}
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    for number in range(CUTS):
        before, boot = generation(host), host.boot_id()
        after = moments.uniform(0.5, min(took))
        cut = threading.Timer(after, host.cut_power)
        cut.start()
        # That the host is gone shows after that time.
        deploy(host, inventory=inventories[number % 2], data={"ssh_silence": "15"})
        cut.join()
        host.boot()
        assert host.boot_id() != boot
        found = verdict(host)
        told = f"cut {number} of seed {seed}, {after:.1f} s after the start, {before} before, {generation(host)} after"
        print(told)
        assert failures(found) == [], told
        known.add(generation(host))
    # Two inventories, and the one of the beginning: nothing in between was ever activated.
    assert len(known) <= len(CONTEXT_SIZES) + 1
    for inventory in inventories:
        deploy(host, inventory=inventory).must_pass()
