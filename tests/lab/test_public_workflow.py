"""The workflow that forks and pull requests run, on a clean host without this lab: what it needs, it says."""

from __future__ import annotations

import subprocess
import time

import pytest
import yaml

from tests.lab.conftest import NewHost
from tests.labhost.paths import REPOSITORY

WORKFLOW = REPOSITORY / ".github/workflows/ci.yml"
IMAGE = "git make python3-venv zstd libatomic1 chromium"
"""What the workflow's own image has, with Python 3.11 by its step `setup-python`."""


@pytest.mark.soak_only
def test_the_public_workflow_passes_on_a_clean_host_within_its_timeout(new_host: NewHost) -> None:
    host = new_host("public")
    host.run(f"apt-get -qq update && apt-get -qq -y --no-install-recommends install {IMAGE}", timeout=600)
    host.run("useradd --create-home runner")
    bundle = subprocess.run(["git", "bundle", "create", "-", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True)
    put = host.ssh_command("--", "cat > /home/runner/bundle")
    subprocess.run(put, input=bundle.stdout, check=True, timeout=60)
    host.run("runuser -u runner -- git clone -q /home/runner/bundle /home/runner/project", timeout=60)

    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert len(commands) >= 3
    began = time.monotonic()
    for command in commands:
        step = time.monotonic()
        script = f"cd /home/runner/project && {command}"
        done = host.run(f"runuser -u runner -- bash -c '{script}' 2>&1", check=False, timeout=900)
        print(f"{time.monotonic() - step:.0f} s: {command}: {done.stdout[-300:]}")
        assert done.returncode == 0, done.stdout[-5000:]
    assert time.monotonic() - began < job["timeout-minutes"] * 60
