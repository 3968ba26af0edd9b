"""What the lab promises to those whose tests stand on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.labhost import Lab, LabError, LabHost
from tests.labhost.faulty_mirror import Faults, FaultyMirror
from tests.labhost.files import lab_models
from tests.labhost.image import RELEASES, base_image
from tests.labhost.paths import REPOSITORY
from tests.labhost.spec import Live
from tests.labhost.trust import MACHINE_BUNDLE, certificates

CLOSED_PORT = 9


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """One host for all tests that leave it as they found it."""
    return new_module_host("shared")


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: not {what}"
        time.sleep(0.05)


def round_trip_milliseconds(host: LabHost) -> float:
    """The time a refused connection takes: one round trip, and sshd is not bothered."""
    times = []
    for _ in range(5):
        started = time.monotonic()
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((host.address, CLOSED_PORT), timeout=5).close()
        times.append(time.monotonic() - started)
    return min(times) * 1000


# booting


@pytest.mark.parametrize("release", RELEASES)
def test_a_host_runs_within_thirty_seconds(lab: Lab, new_host: NewHost, release: str) -> None:
    base_image(lab.folders, release)
    started = time.monotonic()
    host = new_host(release=release)
    assert time.monotonic() - started < 30
    assert host.run("systemctl is-system-running").stdout.strip() == "running"
    assert host.run("cat /proc/1/comm").stdout.strip() == "systemd"
    assert f"VERSION_CODENAME={release}" in host.run("cat /etc/os-release").stdout
    assert host.run("hostname").stdout.strip() == host.name


def test_a_reboot_is_a_new_boot_that_keeps_the_files(new_host: NewHost) -> None:
    host = new_host()
    boot = host.boot_id()
    host.run("echo kept > /root/file; touch /run/volatile")
    host.reboot()
    assert host.boot_id() != boot
    assert host.run("cat /root/file").stdout == "kept\n"
    assert host.run("test -e /run/volatile", check=False).returncode == 1


def test_a_power_cut_kills_everything_and_keeps_the_files(new_host: NewHost) -> None:
    host = new_host()
    boot = host.boot_id()
    # A process that no longer belongs to the session, and one that will not hear of SIGTERM.
    host.run("echo kept > /root/file; systemd-run --quiet sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
    assert processes_of(host)
    host.cut_power()
    assert not host.is_on()
    assert not processes_of(host)
    host.boot()
    assert host.boot_id() != boot
    assert host.run("cat /root/file").stdout == "kept\n"


def test_a_host_that_is_switched_off_stays_off(new_host: NewHost) -> None:
    host = new_host()
    host.run("systemctl poweroff", check=False)
    wait_for(lambda: not host.is_on(), 20, "off")
    host.boot()
    assert host.is_on()


def test_a_host_that_can_not_boot_says_what_its_console_said(new_host: NewHost) -> None:
    host = new_host()
    host.run("ln -sf /dev/null /etc/systemd/system/default.target; rm /usr/lib/systemd/systemd; sync")
    host.cut_power()
    with pytest.raises(LabError, match=r"(?s)ended with status 1 .* console said last:\n.+"):
        host.boot()


def test_a_failed_unit_is_named(new_host: NewHost) -> None:
    host = new_host()
    host.run(
        "printf '[Service]\\nType=oneshot\\nExecStart=false\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " > /etc/systemd/system/sad.service; systemctl enable sad"
    )
    with pytest.raises(LabError, match=r"failed units: sad\.service"):
        host.reboot()


# what a host finds


def test_a_command_reports_status_output_and_input(host: LabHost) -> None:
    done = host.run("cat; echo oops >&2; exit 3", input="hello", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello", "oops\n")
    with pytest.raises(LabError, match=r"`exit 4` ended with status 4"):
        host.run("exit 4")
    with pytest.raises(LabError, match=r"did not end within 1 s"):
        host.run("sleep 30", timeout=1)


def test_the_lab_key_opens_every_account(host: LabHost) -> None:
    host.run("useradd --create-home alice")
    assert host.run("id -un", user="alice").stdout == "alice\n"


def test_plain_ssh_knows_the_host_by_name(lab: Lab, host: LabHost) -> None:
    done = subprocess.run(["ssh", "-F", lab.ssh_config, host.name, "hostname"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{host.name}\n", "")


def test_a_host_trusts_what_its_machine_trusts(host: LabHost) -> None:
    trusted = set(certificates_in(host))
    assert set(certificates(MACHINE_BUNDLE)) <= trusted


def certificates_in(host: LabHost) -> list[str]:
    copy = Path("/proc") / str(min(processes_of(host))) / "root" / MACHINE_BUNDLE.relative_to("/")
    return certificates(copy)


def test_hosts_share_the_deploy_cache(host: LabHost, new_host: NewHost) -> None:
    # Not among uv's: `uv cache prune`, which a deploy to another host may run meanwhile, removes what it does not know.
    file = "/var/cache/ai-backend/ccache/.labhost-test"
    host.run(f"echo shared > {file} && touch /var/cache/ai-backend/own")
    other = new_host("other")
    assert other.run(f"cat {file} && rm {file}").stdout == "shared\n"
    assert other.run("ls /var/cache/ai-backend").stdout == "ccache\nuv\n"


def test_a_package_fetched_once_installs_without_the_outside(new_host: NewHost) -> None:
    first = new_host("first")
    first.run("apt-get update -qq && apt-get install -qq hello", timeout=120)
    first.destroy()
    second = new_host("second")
    second.cut_network()
    second.run("apt-get install -qq hello && hello")


def test_a_small_disk_fills_up_and_outlives_a_reboot(new_host: NewHost) -> None:
    host = new_host(small_disks={"/opt/ai-backend": "8M"})
    full = host.run("head -c 20M /dev/zero > /opt/ai-backend/blob", check=False)
    assert "No space left on device" in full.stderr
    host.run("echo small > /opt/ai-backend/blob")
    host.reboot()
    assert host.run("cat /opt/ai-backend/blob").stdout == "small\n"


def test_a_kept_disk_is_where_later_hosts_begin_and_none_of_them_changes_it(
    lab: Lab, new_host: NewHost, tmp_path: Path
) -> None:
    first = new_host("first")
    key = "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id"
    identity = first.run(key).stdout
    first.run("mkdir -p /srv/kept/inner && echo kept > /srv/kept/inner/file && rm -r /usr/share/man && sync")
    disk = lab.folders.images / f"kept-{tmp_path.name}-{os.getpid()}"
    try:
        first.keep_disk(disk)
        for name in ("second", "third"):
            host = new_host(name, disks=[disk])
            assert host.run("cat /srv/kept/inner/file; ls /usr/share/man", check=False).stdout == "kept\n"
            assert host.run("hostname").stdout.startswith(name)
            assert host.run(key).stdout != identity
            host.run("echo changed > /srv/kept/inner/file; mv -T /srv/kept /srv/renamed && cat /srv/renamed/inner/file")
            host.run("rm -r /srv/renamed")
    finally:
        shutil.rmtree(disk)


def test_binds_show_folders_of_the_machine(new_host: NewHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seen")
    host = new_host(binds={str(tmp_path): "/srv/writable"}, read_only_binds={str(tmp_path): "/srv/readable"})
    assert host.run("cat /srv/readable/file").stdout == "seen"
    assert "Read-only" in host.run("touch /srv/readable/file", check=False).stderr
    host.run("echo written > /srv/writable/file")
    assert (tmp_path / "file").read_text() == "written\n"


# network


def test_an_air_gap_blocks_the_outside_and_leaves_the_lab(lab: Lab, new_host: NewHost) -> None:
    lab_models(lab.folders)
    host = new_host()
    outside = "cd /tmp && timeout 10 apt-get download hello"
    host.cut_network()
    assert host.run(outside, check=False).returncode != 0
    host.run(f"curl -fsS -o /dev/null {lab.mirror_url}/native.gguf")
    host.restore_network()
    host.run(f"apt-get update -qq && {outside}")


def test_a_pulled_cable_cuts_ssh_too(new_host: NewHost) -> None:
    host = new_host()
    host.cut_link()
    with pytest.raises(LabError, match=r"status 255"):
        host.run("true")
    host.restore_link()
    host.run("true")


def test_a_slow_link_adds_its_delay_to_the_round_trip(new_host: NewHost) -> None:
    host = new_host()
    assert round_trip_milliseconds(host) < 10
    host.slow_link(40)
    assert 40 <= round_trip_milliseconds(host) < 60
    # Large segments in both directions: what a network card would cut and sum up is carried whole.
    payload = "x" * 3_000_000
    assert host.run("cat", input=payload).stdout == payload
    host.slow_link(80)
    assert 80 <= round_trip_milliseconds(host) < 100
    host.normal_link()
    assert round_trip_milliseconds(host) < 10


def test_a_slow_link_outlives_a_power_cut_of_its_host(new_host: NewHost) -> None:
    host = new_host()
    host.slow_link(20)
    host.cut_power()
    host.boot()
    assert round_trip_milliseconds(host) >= 20


def test_two_hosts_reach_one_another(host: LabHost, new_host: NewHost) -> None:
    other = new_host("other", release="trixie")
    for one, two in ((host, other), (other, host)):
        greeting = one.run(f"exec 3<>/dev/tcp/{two.address}/22 && head -n 1 <&3").stdout
        assert greeting.startswith("SSH-2.0-")


# the file mirror


def test_the_mirror_serves_files_and_parts_of_them(lab: Lab, host: LabHost) -> None:
    for name, model in lab_models(lab.folders).items():
        served = host.run(f"curl -fsS {lab.mirror_url}/{name} | sha256sum").stdout.split()[0]
        assert served == model.sha256
    assert host.run(f"curl -fsS -r 0-3 {lab.mirror_url}/native.gguf").stdout == "GGUF"


@pytest.mark.parametrize(
    ("faults", "status", "received"),
    [
        (Faults(), 0, 1000),
        (Faults(cut_after=600), 18, 600),  # curl: partial file
        (Faults(stall_after=600), 28, 600),  # curl: time-out
    ],
    ids=["none", "cut", "stall"],
)
def test_a_faulty_mirror_fails_as_told(
    lab: Lab, host: LabHost, tmp_path: Path, faults: Faults, status: int, received: int
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with FaultyMirror(tmp_path, gateway_of(host), faults) as mirror:
        done = host.run(f"curl -fsS -m 2 {mirror.url}/file", check=False)
        assert (done.returncode, len(done.stdout)) == (status, received)
        assert [request.sent for request in mirror.served] == [received]


def test_a_faulty_mirror_resumes_flips_and_ignores(host: LabHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * 10)
    with FaultyMirror(tmp_path, gateway_of(host)) as mirror:
        assert host.run(f"curl -fsS -r 6- {mirror.url}/file").stdout == "aaaa"
        mirror.faults = Faults(flip_byte=7)
        flipped = host.run(f"curl -fsS -r 6- {mirror.url}/file | od -An -tx1").stdout
        assert flipped.split() == ["61", "9e", "61", "61"]
        mirror.faults = Faults(ignore_range=True)
        assert host.run(f"curl -fsS -r 6- {mirror.url}/file").stdout == "a" * 10
        assert [(request.first_byte, request.sent) for request in mirror.served] == [(6, 4), (6, 4), (0, 10)]


def gateway_of(host: LabHost) -> str:
    return host.link.subnet.gateway


# the end


def processes_of(host: LabHost) -> set[int]:
    """Every process inside the host, and its systemd-nspawn: those in its control groups."""
    live = live_of(host)
    found: set[int] = set()
    for group in live.groups:
        for folder, _, _ in os.walk(group):
            found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
    return found


def live_of(host: LabHost) -> Live:
    live = Live.load(Lab().folders.host(host.name))
    assert live is not None
    return live


def traces(name: str, live: Live) -> list[str]:
    """All that the machine still shows of a host."""
    folder = Lab().folders.host(name).path
    table = subprocess.run(["nft", "list", "table", "ip", "ai_backend_lab"], capture_output=True, text=True).stdout
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    found = [str(path) for path in (folder, *map(Path, live.groups)) if path.exists()]
    found += [link for link in (live.link.device,) if Path("/sys/class/net", link).exists()]
    found += [str(path) for path in [Path("/run/netns", live.link.namespace)] if path.exists()]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    found += [line for line in commands.splitlines() if name in line and "labhost" in line]
    found += [f"nft: {live.link.address}"] if live.link.address in table else []
    found += ["ssh_config"] if f"Host {name}\n" in Lab().ssh_config.read_text() else []
    return found


CREATE_AND_WAIT = """
import os, sys, time
from tests.labhost import Lab
host = Lab().create(sys.argv[1], owner=os.getpid())
host.cut_network()
host.slow_link(5)
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_owner_that_ends_takes_its_host_along(lab: Lab, how: signal.Signals) -> None:
    name = f"orphan-{os.getpid()}"
    command = [sys.executable, "-c", CREATE_AND_WAIT, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPOSITORY) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        live = live_of(lab.host(name))
        assert traces(name, live)
        owner.send_signal(how)
    wait_for(lambda: not traces(name, live), 10, "all gone")


def test_what_a_killed_supervisor_leaves_is_swept(lab: Lab, new_host: NewHost) -> None:
    host = new_host()
    live = live_of(host)
    os.kill(supervisor_of(host), signal.SIGKILL)
    wait_for(lambda: host.name not in {each.name for each in lab.list()}, 5, "dead")
    lab.sweep()
    assert traces(host.name, live) == []


def test_sigterm_to_the_supervisor_is_a_clean_end(new_host: NewHost) -> None:
    host = new_host()
    live = live_of(host)
    os.kill(supervisor_of(host), signal.SIGTERM)
    wait_for(lambda: not traces(host.name, live), 10, "all gone")


def supervisor_of(host: LabHost) -> int:
    argument = f"tests.labhost.supervisor\0{host.name}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().endswith(argument):
                return int(folder.name)
    raise AssertionError(f"no supervisor of {host.name}")


def test_a_name_is_taken_once(lab: Lab, host: LabHost) -> None:
    with pytest.raises(LabError, match=r"there is a lab host .* already"):
        lab.create(host.name)
    assert host.is_on()


# the lab inside the lab


def test_the_lab_works_where_systemd_is_pid_1(lab: Lab, new_host: NewHost) -> None:
    image = base_image(lab.folders, "bookworm")
    outer = new_host("outer", nested=True, read_only_binds={str(REPOSITORY): "/srv/repo", str(image): "/srv/image"})
    outer.run(
        "apt-get update -qq && apt-get install -qq --no-install-recommends"
        " systemd-container nftables iproute2 openssh-client",
        timeout=120,
    )
    # The outer host's CA bundle is not quite this machine's, so it would build an image of another name.
    outer.run(
        "cd /srv/repo && mkdir -p ~/.cache/ai-backend-lab/images && ln -s /srv/image ~/.cache/ai-backend-lab/images/"
        "bookworm-$(python3 -c \"from tests.labhost.image import image_key; print(image_key('bookworm'))\")"
    )
    before = what_a_lab_could_leave(outer)

    def inner_lab(command: str) -> str:
        return outer.run(f"cd /srv/repo && python3 -m tests.labhost {command}", timeout=120).stdout

    inner_lab("up inner --no-mirror")
    assert what_a_lab_could_leave(outer) != before
    assert "ai-backend-lab-inner.service" in outer.run("systemctl list-units 'ai-backend-lab-*'").stdout
    boot = inner_lab("ssh inner cat /proc/sys/kernel/random/boot_id")
    assert inner_lab("ssh inner systemctl is-system-running") == "running\n"
    inner_lab("reboot inner")
    assert inner_lab("ssh inner cat /proc/sys/kernel/random/boot_id") != boot
    assert inner_lab("ssh inner systemctl is-system-running") == "running\n"
    inner_lab("down inner")
    assert what_a_lab_could_leave(outer) == before


def what_a_lab_could_leave(outer: LabHost) -> dict[str, str]:
    """Everything that the last host has to take down, of a machine where nobody else has a lab."""
    commands = {
        "mounts": "cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/run/user | grep -v ^/run/credentials | sort",
        "links": "ls /sys/class/net",
        "network namespaces": "ls /run/netns 2>/dev/null || true",
        "nft": "nft list ruleset",
        "ip_forward": "cat /proc/sys/net/ipv4/ip_forward",
        "units": "systemctl list-units --all --plain --no-legend 'ai-backend-lab*'",
        "processes": "pgrep -af '[l]abhost|nspawn' | grep -v pgrep || true",
        "hosts": "ls ~/.cache/ai-backend-lab/hosts 2>/dev/null || true",
    }
    script = "; ".join(f"echo {json.dumps(f'# {name}')}; {command}" for name, command in commands.items())
    sections = outer.run(script).stdout.split("# ")[1:]
    return {section.partition("\n")[0]: section.partition("\n")[2] for section in sections}
