"""The verifier's checks of the host: green where nothing is wrong, and each red for its own fault, on a real host."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import odd_names as odd
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, Run, deploy, failures, inventory_file, main_pids, verdict
from tests.labhost import LabHost

UNIT = "llama-server@native.service"
MODEL = "/etc/ai-backend/install/model-native.gguf-*"
VERIFIER = "/etc/ai-backend/bin/verify"


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """A host with the small stack, whose installs lie on a disk of their own, small enough to be filled."""
    host = new_module_host("checks", prepared=True, small_disks={"/opt/ai-backend": "3G"})
    deploy(host).must_pass()
    return host


def seen(host: LabHost, *options: str) -> dict[str, Any]:
    """Check → what was seen, of those that hold."""
    return {check["id"]: check["seen"] for check in verdict(host, verifier=" ".join([VERIFIER, *options]))["checks"]}


def red(host: LabHost, *options: str) -> dict[str, str]:
    """Check → what was seen, of those that do not hold."""
    found = verdict(host, verifier=" ".join([VERIFIER, *options]))
    return {check["id"]: check["seen"] for check in found["checks"] if check["ok"] is not True}


def test_nothing_is_wrong_again_and_again(host: LabHost) -> None:
    for _ in range(5):
        assert failures(verdict(host)) == []
    told = seen(host)
    assert told["host/listeners"] == "nowhere else"
    assert "/opt/ai-backend: " in told["host/disk"]
    assert told[f"unit/{UNIT}/restarts"] == "none"
    models = {name: told for name, told in told.items() if name.startswith("model/")}
    assert len(models) == 2
    assert set(models.values()) == {"1 file, 1 MB, untouched"}
    deep = seen(host, "--deep")
    assert {deep[name] for name in models} == {"1 file, 1 MB, 1 MB of it read"}


@contextlib.contextmanager
def odd_names(host: LabHost, port: int) -> Iterator[None]:
    """What `odd_names.py` makes is there, its listeners from that port on."""
    names = ",".join(name.hex() for name in odd.NAMES)
    host.run(odd.PREPARE)
    host.run("cat > /root/odd.py", input=odd.PROGRAM)
    unit = "systemd-run --quiet --unit odd -p KillMode=control-group -p LimitNOFILE=8192"
    host.run(f"{unit} -p StandardOutput=file:/run/odd python3 /root/odd.py {port} {names}")
    host.run("timeout 60 sh -c 'until grep -q ready /run/odd; do sleep 0.2; done'", timeout=70)
    try:
        yield
    finally:
        host.run("systemctl stop odd; systemctl stop user@$(id -u mallory); umount /mnt/*; rm /tmp/loop")
        host.run("rm /etc/systemd/system/odd*; systemctl daemon-reload")


def test_whatever_users_call_things_the_verdict_is_green_and_a_deploy_has_nothing_to_do(host: LabHost) -> None:
    with odd_names(host, 9100):
        assert red(host) == {}
        assert seen(host)["host/listeners"] == "nowhere else"
        assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
        deploy(host, "verify.py").must_pass()


def crash(host: LabHost, restarts: int) -> None:
    host.run(f"systemctl kill --signal=KILL {UNIT}")
    again = f'[ "$(systemctl show -P NRestarts -P ActiveState {UNIT} | xargs)" = "{restarts} active" ]'
    host.run(f"timeout 30 sh -c 'until {again}; do sleep 0.2; done'", timeout=40)


def test_one_crash_is_told_a_second_is_red_and_a_restart_by_hand_ends_it(host: LabHost) -> None:
    crash(host, 1)
    assert red(host) == {}
    assert seen(host)[f"unit/{UNIT}/restarts"].endswith(" s ago: ended by SIGKILL")
    crash(host, 2)
    found = red(host)
    assert found.keys() == {f"unit/{UNIT}/restarts"}
    assert found[f"unit/{UNIT}/restarts"].startswith("2 times since somebody started it, 2 of them in the last hour")
    host.run(f"systemctl restart {UNIT}")
    assert red(host) == {}


def test_a_gateway_that_crashes_tells_where_it_was_and_leaves_no_core(host: LabHost) -> None:
    host.run("systemctl kill --kill-whom=main --signal=SEGV litellm@a.service")
    found = seen(host)["unit/litellm@a.service/restarts"]
    assert "ended by SIGSEGV; it said last: Fatal Python error: Segmentation fault | " in found
    assert re.search(r'\| File ".*\.py", line \d+ in ', found), found
    assert host.run("find / -xdev -name 'core*' -size +4096k -newer /etc/hostname -type f").stdout == ""
    host.run("systemctl restart litellm@a.service")
    assert red(host) == {}


def test_a_disk_that_fills_up_is_red_before_it_is_full(host: LabHost) -> None:
    free = int(host.run("df --output=avail -B1 /opt/ai-backend | tail -1").stdout)
    host.run(f"fallocate -l {free - 100_000_000} /opt/ai-backend/filler")
    try:
        found = red(host)
    finally:
        host.run("rm /opt/ai-backend/filler")
    assert found.keys() == {"host/disk"}
    assert found["host/disk"].startswith("/opt/ai-backend: 100 MB of 3.")
    assert red(host) == {}


@contextlib.contextmanager
def kept_model(host: LabHost) -> Iterator[str]:
    """The path of the model's file, which is put back afterwards: as another file with other times."""
    path = host.run(f"ls {MODEL}/native.gguf").stdout.strip()
    host.run(f"cp {path} /root/kept.gguf")
    try:
        yield path
    finally:
        host.run(f"cp --remove-destination /root/kept.gguf {path}")


def test_a_byte_of_a_model_that_changed_is_red_and_its_right_bytes_are_read(host: LabHost) -> None:
    with kept_model(host) as path:
        digest = host.run(f"sha256sum {path}").stdout.split()[0]
        host.run(f"printf x | dd of={path} bs=1 seek=100000 conv=notrunc status=none")
        ((name, told),) = red(host).items()
        assert name.startswith("model/native.gguf-")
        assert f", not {digest}: remove /var/lib/ai-backend/models/" in told
    assert red(host) == {}
    assert seen(host)[name] == "1 file, 1 MB, 1 MB of it read"


def test_a_byte_that_changed_behind_the_file_systems_back_is_found_by_a_deep_look(host: LabHost) -> None:
    with kept_model(host) as path:
        mark = f"{Path(path).parent}/.install.json"
        kept = host.run(f"cat {mark}").stdout
        host.run(f"printf x | dd of={path} bs=1 seek=100000 conv=notrunc status=none")
        # As if neither its time nor its place had changed.
        look = f"import os; found = os.stat({path!r}); print(found.st_mtime_ns, found.st_ino)"
        mtime, inode = map(int, host.run(f'python3 -c "{look}"').stdout.split())
        record = json.loads(kept)
        record["files"]["native.gguf"] |= {"mtime_ns": mtime, "inode": inode}
        host.run(f"cat > {mark}", input=json.dumps(record))
        assert red(host) == {}
        assert [name.partition("-")[0] for name in red(host, "--deep")] == ["model/native.gguf"]
        host.run(f"cat > {mark}", input=kept)
        host.run(f"mv {path} /root/away.gguf")
        (told,) = red(host).values()
        assert told.startswith("native.gguf is gone: remove /var/lib/ai-backend/models/")
        del record["files"]
        host.run(f"cat > {mark}", input=json.dumps(record))
        host.run(f"mv /root/away.gguf {path}")
        assert red(host) == {}, "an install of a version that did not record digests"
        host.run(f"cat > {mark}", input=kept)
    assert red(host) == {}


def test_a_damaged_environment_is_red_and_the_next_deploy_makes_it_anew_and_restarts_what_runs_from_it(
    host: LabHost,
) -> None:
    environment = host.run("readlink /etc/ai-backend/install/litellm").stdout.strip()
    broken = host.run(f"ls {environment}/lib/python3*/site-packages/litellm/__pycache__/utils.*.pyc").stdout.strip()
    host.run(f"truncate -s 0 {broken}")
    told = {"install/litellm/files": f"damaged: {broken.removeprefix(f'{environment}/')} was changed"}
    assert red(host) == told
    before = main_pids(host, [UNIT, "litellm@a.service"])
    run = deploy(host).must_pass()
    after = main_pids(host, [UNIT, "litellm@a.service"])
    assert "litellm 1.106.2: made anew" in run.output
    assert after[UNIT] == before[UNIT]
    assert after["litellm@a.service"] != before["litellm@a.service"]
    assert red(host, "--deep") == {}
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_a_port_that_a_service_opens_besides_its_own_is_red(host: LabHost) -> None:
    group = host.run(f"systemctl show -P ControlGroup {UNIT}").stdout.strip()
    join = "; ".join(f"echo $BASHPID > '/sys/fs/cgroup/{tree}{group}/cgroup.procs'" for tree in ("systemd", "unified"))
    host.run(f"({join}; exec python3 -m http.server --bind 0.0.0.0 9999) >/dev/null 2>&1 & echo $! > /run/stranger")
    host.run("timeout 10 sh -c 'until ss -tln | grep -q :9999; do sleep 0.1; done'")
    found = red(host)
    host.run("kill $(cat /run/stranger)")
    assert found.keys() == {"host/listeners"}
    assert found["host/listeners"].startswith("0.0.0.0:9999, process ")
    assert found["host/listeners"].endswith(f"(python3) of {UNIT}")
    assert red(host) == {}


def test_closed_ports_are_closed_from_elsewhere_and_one_that_somebody_forwards_is_red(host: LabHost) -> None:
    run = deploy(host, "verify.py").must_pass()
    assert run.output.count("refused") == 3, "two servers and the instance"
    forward = f"python3 -m http.server --bind {host.address} 8080"
    host.run(f"{forward} >/dev/null 2>&1 & echo $! > /run/forwarder")
    host.run(f"timeout 10 sh -c 'until ss -tln | grep -q {host.address}:8080; do sleep 0.1; done'")
    run = deploy(host, "verify.py")
    host.run("kill $(cat /run/forwarder)")
    assert run.status == 1
    assert "1 of " in run.output
    told = "the gateway's port; and the one that is to be closed, in the table and below it"
    assert run.output.count("takes connections") == 3, told
    assert f"FAIL from the control machine {socket.gethostname()} {UNIT} is closed: takes connections" in run.output


SEES = """
stack = lab_stack(native={native!r})
seeing = stack.routes[0].model_copy(update={{"vision": True}})
hosts = [lab_host(stack.model_copy(update={{"routes": (seeing, stack.routes[1])}}), apis={apis!r})]
"""
"""A route that is to take pictures, by a server that was not given what reads them: only who sends one notices."""
PICTURE = "route/tiny-native/apis/picture"


def active(host: LabHost) -> str:
    return Path(host.run("readlink /etc/ai-backend").stdout.strip()).name


def deploy_seeing(host: LabHost, folder: Path, apis: str, **native: object) -> Run:
    return deploy(host, inventory=inventory_file(folder, SEES.format(native=native, apis=apis)))


def test_what_only_client_programs_would_notice_is_found_after_a_change_and_taken_back(
    host: LabHost, tmp_path: Path
) -> None:
    before = active(host)
    run = deploy_seeing(host, tmp_path, "after-changes")
    assert run.status == 1
    message = run.output[run.output.rindex("failed: 1 of ") :]
    assert f"    {PICTURE}: " in message
    assert 'To deploy it all the same: verification=Verification(apis="on-demand")' in message
    assert f"Generation {before} is active again: " in message
    assert active(host) == before
    assert red(host) == {}


@pytest.mark.soak_only
def test_what_client_programs_did_not_get_before_the_change_either_takes_nothing_back(
    host: LabHost, tmp_path: Path
) -> None:
    deploy_seeing(host, tmp_path, "on-demand").must_pass()
    before = active(host)
    assert red(host, "--apis", "--keep").keys() == {PICTURE}
    run = deploy_seeing(host, tmp_path, "after-changes", context_size=1024)
    assert run.status == 1, "it is told all the same"
    assert "1 of " in run.output
    assert "rolling back" not in run.output
    assert active(host) != before
    assert red(host) == {}
    # Nothing changes: nothing but the usual is asked.
    again = deploy_seeing(host, tmp_path, "after-changes", context_size=1024).must_pass()
    assert again.results() == dict.fromkeys(OPERATIONS, "No changes")


def test_another_host_of_the_inventory_looks_too(host: LabHost, tmp_path: Path) -> None:
    """The other host is the same machine by another name: what is claimed is who is asked, and what is told."""
    text = (
        f"hosts = [lab_host(lab_stack()), lab_host(lab_stack(), 'other', ssh_hostname={host.address!r},\n"
        "    ssh_user='root', ssh_key=str(LAB.folders.root / 'ssh_key'), ssh_strict_host_key_checking='no')]\n"
    )
    run = deploy(host, "verify.py", inventory=inventory_file(tmp_path, text)).must_pass()
    for name in (host.name, "other"):
        assert f"from {name}\n" in re.sub(" +\n", "\n", run.output)
    assert run.output.count("refused") == 3 * 2 * 2, "three closed ports, of two hosts, seen from two places each"
