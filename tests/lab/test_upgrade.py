"""A host that an earlier version has deployed is taken over by this one, and can go back to it and forward again."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, PYINFRA, TIMEOUT, ask, deploy, failures, main_pids, verdict
from tests.lab.steady_load import RATE, steady_load
from tests.lab.traffic import Gateway
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

OPEN_BACKENDS = "bbcd84c7bc13eac2798099f5e300c1a5d3925ea2"
"""The last commit before other users were kept out: no keys for backends, `litellm.service` itself at port 4000."""
FLAT = "decd9351bd74dfa8d3160d180d891437fa52dfb2"
"""The last commit before the contract: verdicts of schema 2, requests and manifest of no declared shape."""
LONGEST_GAP = 10.0
"""Seconds; 2.4 were measured."""
KEY = "cat /var/lib/ai-backend/secrets/master-key.env"
ANSWERS = {"tiny-native": "This is the native llama server", "tiny-python": "This is the Python llama server"}


SERVERS = ["llama-server@native", "llama-cpp-python@python", "litellm@a", "ai-backend-front"]


def deployed_by(commit: str, host: LabHost, tree: Path) -> LabHost:
    """The host once that commit has deployed it, by its own inventory."""
    archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, capture_output=True, check=True, timeout=60)
    subprocess.run(["tar", "--extract", "--directory", tree], input=archive.stdout, check=True, timeout=60)
    done = subprocess.run(
        [PYINFRA, "-y", "tests/lab/small.py", "deploys/full.py"],
        cwd=tree,
        env={**os.environ, "LAB_HOST": host.name, "PYINFRA_PROGRESS": "off", "PYTHONPATH": str(tree)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return host


def active(host: LabHost) -> str:
    return Path(host.run("readlink /etc/ai-backend").stdout.strip()).name


def is_whole(host: LabHost) -> None:
    assert failures(verdict(host)) == []
    assert {model: ask(host, model) for model in ANSWERS} == ANSWERS


def goes_back_and_forward(host: LabHost, before: str) -> None:
    assert active(host) != before
    is_whole(host)
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
    assert before in deploy(host, "history.py").must_pass().output

    deploy(host, "rollback.py").must_pass()
    assert active(host) == before
    assert {model: ask(host, model) for model in ANSWERS} == ANSWERS

    deploy(host).must_pass()
    is_whole(host)


@pytest.mark.soak_only
def test_a_host_whose_backends_were_open_is_taken_over(new_host: NewHost, tmp_path: Path) -> None:
    host = deployed_by(OPEN_BACKENDS, new_host("open"), tmp_path)
    assert host.run("systemctl is-active litellm.service").stdout == "active\n"
    before, key = active(host), host.run(KEY).stdout
    with steady_load(Gateway(host), ANSWERS, RATE[True]) as load:
        run = deploy(host).must_pass()
    print(load)
    failed = [answer for answer in [*load.answers, *load.long] if answer.problem]
    # What was under way came to its end; who came while the port changed hands was refused at once.
    assert {answer.status for answer in failed} == {0}
    assert load.gap < LONGEST_GAP
    assert len(load.broken) == len(failed)
    assert "fetching" not in run.output  # neither models nor sources
    assert host.run(KEY).stdout == key
    goes_back_and_forward(host, before)


@pytest.mark.soak_only
def test_a_host_of_the_version_before_the_contract_is_taken_over_by_one_restart_of_each_unit(
    new_host: NewHost, tmp_path: Path
) -> None:
    """A unit's digest covers its comments no longer, so each is another. Beside that only the verifier is new there."""
    host = deployed_by(FLAT, new_host("flat", prepared=True), tmp_path)
    before, pids = active(host), main_pids(host, SERVERS)
    assert not {"", "0"} & set(pids.values())
    assert '"schema": 2' in host.run("cat /var/lib/ai-backend/verdicts/*.json").stdout
    run = deploy(host, "verify.py")
    assert run.status == 0, run.output  # the verifier of the version before, read by this one
    run = deploy(host).must_pass()
    restarted = ", ".join(re.findall(r"restarting (.*)", run.output)).split(", ")
    assert sorted(restarted) == sorted(f"{unit}.service" for unit in [*SERVERS, "ai-backend-firewall"])
    goes_back_and_forward(host, before)
