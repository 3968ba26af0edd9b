"""Runs that break: killed at every boundary and inside the long steps, a download that is cut or wrong, a full disk.

The next run converges, nothing half-written is used, and what ran goes on answering."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, inventory_file, verdict
from tests.labhost import LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.models import write_tiny_gguf

KILLED = -9

STEP = "[h]ost_lock.one_at_a_time"
"""What the command line of every program that a deploy runs on a host holds; the brackets keep pkill from itself."""

INSIDE = [
    ("Prepare the system", "python3-venv: installing"),
    ("Make installs", "llama.cpp from llama-cpp-python 0.3.36: unpacking"),
    ("Make installs", "llama.cpp from llama-cpp-python 0.3.36: compiling with"),
    ("Make installs", "model native.gguf: fetching"),
    ("Make installs", "litellm 1.106.2: installing"),
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
    killed = 0
    for operation in OPERATIONS:
        boundary = f"Starting operation: {operation}"
        for line in [boundary, *(line for inside, line in INSIDE if inside == operation)]:
            run = deploy(host, at=line)
            if line != boundary:
                # The step's program too, which else goes on by itself. What it started, a compiler for one, still does.
                host.run(f"pkill -KILL -f '{STEP}'", check=False)
            # A step that goes on after a kill at its beginning may have done what the next run was to be killed in.
            killed += run.status == KILLED
            assert run.status == KILLED or (line != boundary and run.status == 0), run.output
            assert half_written_in_use(host) == [], f"after a kill at {line!r}"
    assert killed >= len(OPERATIONS) + len(INSIDE) - 2
    deploy(host).must_pass()
    assert failures(verdict(host)) == []
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_nothing_of_the_killed_runs_is_left(host: LabHost) -> None:
    folders = "/etc/ai-backend-generations /opt/ai-backend /var/lib/ai-backend"
    assert host.run(f"find {folders} -name '.removed-*' -o -name '.new-*' -o -name '*.part'").stdout == ""
    assert host.run("ls -d /var/lib/ai-backend/lock", check=False).returncode != 0


def another_model(folder: Path, mirror: FaultyMirror, **changes: str) -> tuple[Path, Path]:
    """A model that the host does not have yet, in the mirror's folder, and an inventory that wants it."""
    model = mirror.folder / "another.gguf"
    write_tiny_gguf(model, says="This is another native server", name="another")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    source = {"url": f"{mirror.url}/another.gguf", "sha256": digest, **changes}
    stack = "lab_stack(native={'model': model}, native_says='This is another native server')"
    text = f"model = UrlFile(**{source!r})\nhosts = [lab_host({stack})]"
    return model, inventory_file(folder, text)


def digest_of(mirror: FaultyMirror) -> str:
    return hashlib.sha256((mirror.folder / "another.gguf").read_bytes()).hexdigest()


def still_answers(host: LabHost, but_for: Sequence[str] = ()) -> None:
    """The stack that was there before the broken run is whole, but for some checks of the host."""
    assert ask(host, "tiny-native") == "This is the native llama server"
    assert [failure.partition(":")[0] for failure in failures(verdict(host))] == [*but_for]


def test_a_wrong_digest_is_refused_and_the_stack_answers(host: LabHost, tmp_path: Path, mirror: FaultyMirror) -> None:
    _, inventory = another_model(tmp_path, mirror, sha256="f" * 64)
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert f"another.gguf has the digest {digest_of(mirror)}, not {'f' * 64} as declared" in run.output
    assert "Traceback" not in run.output
    still_answers(host)


def test_a_corrupted_file_is_refused_and_the_stack_answers(host: LabHost, tmp_path: Path, mirror: FaultyMirror) -> None:
    _, inventory = another_model(tmp_path, mirror)
    mirror.faults.flip_byte = 1000
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert "another.gguf has the digest" in run.output
    still_answers(host)


def test_a_download_that_is_lost_in_the_middle_is_resumed_by_the_next_run(
    host: LabHost, tmp_path: Path, mirror: FaultyMirror
) -> None:
    model, inventory = another_model(tmp_path, mirror)
    mirror.faults.cut_after = 200_000

    def lose_the_server() -> None:
        while not mirror.closing.wait(0.01):
            if any(served.sent for served in mirror.served):
                mirror.faults.cut_after = 0
                return

    threading.Thread(target=lose_the_server, daemon=True).start()
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert "0.2 MB are kept; run again to resume" in run.output
    assert "Traceback" not in run.output
    still_answers(host)
    mirror.faults.cut_after = None
    deploy(host, inventory=inventory).must_pass()
    assert ask(host, "tiny-native") == "This is another native server"
    assert sum(served.sent for served in mirror.served) == model.stat().st_size
    deploy(host).must_pass()  # and back


def test_a_unit_that_dies_says_why_and_what_was_there_answers(host: LabHost, tmp_path: Path) -> None:
    text = "hosts = [lab_host(lab_stack(native={'extra_arguments': ['--no-such-flag']}))]"
    run = deploy(host, inventory=inventory_file(tmp_path, text))
    assert run.status == 1
    assert "llama-server@native.service does not stay up" in run.output
    assert "error: invalid argument: --no-such-flag" in run.output
    assert "Traceback" not in run.output
    assert re.search(r"is active again: (\d+) of \1 checks pass", run.output)
    still_answers(host)
    deploy(host).must_pass()


def test_somebody_elses_lock_is_refused_until_it_is_broken(host: LabHost, tmp_path: Path) -> None:
    holder = {"id": "x", "who": "carol@desk", "pid": "1", "since": "2026-11-24 12:00:00 UTC", "boot_id": host.boot_id()}
    lock = "/var/lib/ai-backend/lock"
    host.run(f"mkdir {lock} && cat > {lock}/holder.json", input=json.dumps(holder))
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")  # no need for the lock
    changed = inventory_file(tmp_path, "hosts = [lab_host(lab_stack(native={'context_size': 1024}))]")
    run = deploy(host, inventory=changed)
    assert run.status == 1
    assert "this host is being deployed by carol@desk since 2026-11-24 12:00:00 UTC" in run.output
    assert "break its lock with deploys/unlock.py" in run.output
    still_answers(host)
    assert "held by carol@desk since 2026-11-24 12:00:00 UTC" in deploy(host, "unlock.py").must_pass().output
    deploy(host, inventory=changed).must_pass()
    deploy(host).must_pass()  # and back


def test_a_full_disk_ends_in_a_clear_error_and_the_stack_answers(host: LabHost, tmp_path: Path) -> None:
    def fill(leaving: int) -> None:
        free = int(host.run("df --output=avail -B1 /opt/ai-backend | tail -1").stdout)
        host.run(f"fallocate -l {free - leaving} /opt/ai-backend/filler")

    other_build = inventory_file(
        tmp_path,
        "build = LLAMA_CPP.model_copy(update={'native': False})\nhosts = [lab_host(lab_stack(build=build))]",
    )
    # Nearly full before the run: it does not even begin.
    fill(leaving=8 << 20)
    run = deploy(host, inventory=other_build)
    assert run.status == 1
    assert "/opt/ai-backend needs 120 MB for what is to be installed, and 8 MB are free: make room" in run.output
    still_answers(host, but_for=["host/disk"])
    host.run("rm /opt/ai-backend/filler")
    # Full in the middle of it.
    run = deploy(host, inventory=other_build, at="compiling with", do=lambda: fill(leaving=4 << 20))
    assert run.status == 1
    assert "No space left on device" in run.output
    assert "Traceback" not in run.output
    still_answers(host, but_for=["host/disk"])
    host.run("rm /opt/ai-backend/filler")
    deploy(host, inventory=other_build).must_pass()
    assert failures(verdict(host)) == []


def test_pruning_frees_what_no_kept_generation_uses(host: LabHost) -> None:
    stranger = "/opt/ai-backend/source-build/0123456789abcdef"
    host.run(f"mkdir {stranger} && echo '{{}}' > {stranger}/.install.json && fallocate -l 5000000 {stranger}/big")
    assert f"{stranger}: removed, 5.0 MB" in deploy(host, "prune.py").must_pass().output
    assert host.run(f"ls -d {stranger}", check=False).returncode != 0
    still_there = deploy(host).must_pass()  # what earlier generations use was kept, so going back makes nothing
    assert still_there.results()["Make installs"] == "No changes"
    assert failures(verdict(host)) == []
