"""pyinfra killed at every operation boundary and inside the long steps: the next run converges, nothing half-written is
used. Then the disk fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import ask, deploy, failures, inventory_file, verdict
from tests.lab.test_main_job import OPERATIONS
from tests.labhost import LabHost

KILLED = -9

INSIDE = [
    ("Prepare the system", "python3-venv: installing"),
    ("Make installs", "llama.cpp from llama-cpp-python 0.3.36: fetching its source"),
    ("Make installs", "llama.cpp from llama-cpp-python 0.3.36: unpacking"),
    ("Make installs", "llama.cpp from llama-cpp-python 0.3.36: step"),
    ("Make installs", "model native.gguf: fetching"),
    ("Make installs", "LiteLLM 1.106.2: installing"),
    ("Write the generation", "written"),
    ("Activate the generation", "switched to"),
    ("Activate the generation", "restarting"),
]
"""Operation → a line of its progress at which pyinfra is killed."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """A host whose installs lie on a disk of their own, small enough to be filled."""
    return new_module_host("killed", small_disks={"/opt/ai-backend": "3G"})


def half_written_in_use(host: LabHost) -> list[str]:
    """What the current generation leads to and is not complete; empty also when there is no generation yet."""
    script = """
    [ -e /etc/ai-backend ] || [ ! -L /etc/ai-backend ] || echo "the generation is not there"
    for link in /etc/ai-backend/install/*; do
        [ ! -L "$link" ] || [ -e "$link/.install.json" ] || echo "$link is not complete"
    done
    for unit in /etc/systemd/system/*.service; do
        case "$(readlink "$unit")" in
            /etc/ai-backend/*) [ -e "$unit" ] || [ ! -e /etc/ai-backend ] || echo "$unit leads nowhere" ;;
        esac
    done
    """
    return host.run(script).stdout.split("\n")[:-1]


def test_killed_at_every_boundary_the_next_run_converges(host: LabHost) -> None:
    for operation in OPERATIONS:
        boundary = f"Starting operation: {operation}"
        for line in [boundary, *(line for inside, line in INSIDE if inside == operation)]:
            run = deploy(host, kill_at=line)
            assert run.status in (KILLED, 0), run.output
            # Each run gets at least as far as the one before: what was made is not made again.
            assert run.status == KILLED or line != boundary or operation in OPERATIONS[-1:], f"{line!r} was not reached"
            assert half_written_in_use(host) == [], f"after a kill at {line!r}"
    deploy(host).must_pass()
    assert failures(verdict(host)) == []
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_nothing_of_the_killed_runs_is_left(host: LabHost) -> None:
    folders = "/etc/ai-backend-generations /opt/ai-backend /var/lib/ai-backend"
    assert host.run(f"find {folders} -name '.removed-*' -o -name '.new-*' -o -name '*.part'").stdout == ""
    assert host.run("ls -d /var/lib/ai-backend/lock", check=False).returncode != 0


def test_a_full_disk_ends_in_a_clear_error_and_the_stack_answers(host: LabHost, tmp_path: Path) -> None:
    free = int(host.run("df --output=avail -B1 /opt/ai-backend | tail -1").stdout)
    host.run(f"fallocate -l {free - (8 << 20)} /opt/ai-backend/filler")
    other_build = inventory_file(
        tmp_path,
        "build = LLAMA_CPP.model_copy(update={'native': False})\nhosts = [lab_host(lab_stack(build=build))]",
    )
    run = deploy(host, inventory=other_build)
    assert run.status == 1
    assert "No space left on device" in run.output
    assert "Traceback" not in run.output
    assert ask(host, "tiny-native") == "This is the native llama server"
    assert failures(verdict(host)) == []
    host.run("rm /opt/ai-backend/filler")
    deploy(host, inventory=other_build).must_pass()
    assert failures(verdict(host)) == []
