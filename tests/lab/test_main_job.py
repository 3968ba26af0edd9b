"""The main job on real hosts: apply, verify, no-op, change, reboot, verify; on Debian 12 and 13."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, files_changed_by, inventory_file, main_pids, verdict
from tests.labhost import LabHost

UNITS = ["llama-server@native.service", "llama-cpp-python@python.service", "litellm@a.service"]

FACT_CHANNELS = 3
"""Most channels that a run with nothing to do may open."""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def host(request: pytest.FixtureRequest, new_module_host: NewHost) -> LabHost:
    """A host that the stack was deployed to once, from nothing."""
    host = new_module_host(request.param, release=request.param)
    run = deploy(host).must_pass()
    # No gateway answers yet beside which one could be tried out.
    assert run.results() == {**dict.fromkeys(OPERATIONS, "Success"), "Stage the gateway": "No changes"}
    return host


def channels_opened(host: LabHost) -> int:
    """How many SSH channels ran a command on the host, by the lines that sshd logs at LogLevel VERBOSE."""
    # Debian 13's sshd logs as sshd-session.
    log = host.run("journalctl -t sshd -t sshd-session -o cat").stdout
    return log.count("Starting session: command")


def test_every_check_holds_after_the_first_deploy(host: LabHost) -> None:
    found = verdict(host)
    assert failures(found) == []
    assert found["boot_id"] == host.boot_id()
    ids = {check["id"] for check in found["checks"]}
    for unit in UNITS:
        assert {f"unit/{unit}/{claim}" for claim in ("active", "enabled", "digest", "port")} <= ids
    for name in ("tiny-native", "gpt-4o", "tiny-python"):
        assert {f"route/{name}/chat", f"route/{name}/stream"} <= ids
    assert {"gateway/models", "gateway/no-key", "gateway/wrong-key"} <= ids


def test_the_words_tell_who_answers(host: LabHost) -> None:
    assert ask(host, "tiny-native") == "This is the native llama server"
    assert ask(host, "gpt-4o") == "This is the native llama server"
    assert ask(host, "tiny-python") == "This is the Python llama server"


def test_a_second_run_changes_nothing(host: LabHost) -> None:
    host.run("echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/count.conf && systemctl reload ssh")
    host.wait_until_running()
    pids = main_pids(host, UNITS)
    outputs = []

    def run() -> None:
        outputs.append(deploy(host).must_pass())

    changed = files_changed_by(host, run)
    (noop,) = outputs
    assert noop.results() == dict.fromkeys(OPERATIONS, "No changes")
    assert changed == []
    assert main_pids(host, UNITS) == pids
    before = channels_opened(host)
    deploy(host).must_pass()
    # The question itself is a channel too.
    assert channels_opened(host) - before - 1 <= FACT_CHANNELS


def test_one_changed_option_restarts_that_unit_alone(host: LabHost, tmp_path: Path) -> None:
    before = main_pids(host, UNITS)
    changed = inventory_file(tmp_path, "hosts = [lab_host(lab_stack(native={'context_size': 1024}))]")
    run = deploy(host, inventory=changed).must_pass()
    after = main_pids(host, UNITS)
    assert {unit for unit in UNITS if before[unit] != after[unit]} == {"llama-server@native.service"}
    assert "--ctx-size 1024" in host.run("tr '\\0' ' ' < /proc/$(pgrep -f llama-server | head -1)/cmdline").stdout
    assert run.results()["Make installs"] == "No changes"
    deploy(host).must_pass()  # and back
    assert failures(verdict(host)) == []


def test_a_unit_that_lost_its_process_state_is_brought_back(host: LabHost) -> None:
    """Somebody stopped one unit, disabled another and edited a file: the next run fixes just that."""
    host.run("systemctl stop llama-cpp-python@python && systemctl disable litellm@a 2>/dev/null")
    host.run("echo '# edited' >> /etc/ai-backend/litellm-unified.yaml")
    found = verdict(host)
    assert found["status"] == "fail"
    assert any(failure.startswith("unit/llama-cpp-python@python.service/active") for failure in failures(found))
    assert any(failure.startswith("unit/litellm@a.service/enabled") for failure in failures(found))
    deploy(host).must_pass()
    assert failures(verdict(host)) == []
    assert "edited" not in host.run("cat /etc/ai-backend/litellm-unified.yaml").stdout


def test_after_a_reboot_verify_is_green_with_the_new_boot_id(host: LabHost) -> None:
    before = verdict(host)["boot_id"]
    host.reboot()
    run = deploy(host, "verify.py").must_pass()
    found = verdict(host)
    assert failures(found) == []
    assert found["boot_id"] == host.boot_id() != before
    assert host.boot_id() in run.output


def test_the_generated_key_is_private_and_printed_nowhere(host: LabHost) -> None:
    key = host.run("cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env").stdout.strip()
    assert key.startswith("sk-")
    assert host.run("stat -c '%a %U' /var/lib/ai-backend/secrets/master-key.env").stdout == "600 root\n"
    assert key not in deploy(host, "verify.py").output
    assert key not in host.run("journalctl --no-pager -o cat").stdout
    assert key not in host.run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", check=False).stdout
    holders = host.run(f"grep -rlF -- '{key}' /etc /opt/ai-backend /var/lib/ai-backend 2>/dev/null", check=False).stdout
    assert holders.split() == ["/var/lib/ai-backend/secrets/master-key.env"]


def test_a_login_without_root_needs_sudo_and_says_so(host: LabHost, tmp_path: Path) -> None:
    host.run("id bob || useradd -m bob && echo 'bob ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/bob")
    without = inventory_file(tmp_path, "hosts = [lab_host(lab_stack(), ssh_user='bob')]")
    run = deploy(host, inventory=without)
    assert run.status == 1
    assert "commands run as bob, but the stack's scope needs root: connect as root, or set `_sudo`" in run.output
    with_sudo = inventory_file(tmp_path, "hosts = [lab_host(lab_stack(), ssh_user='bob', _sudo=True)]")
    assert deploy(host, inventory=with_sudo).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_units_run_as_users_of_their_own_and_hardened(host: LabHost) -> None:
    users = set()
    for unit in UNITS:
        pid = host.run(f"systemctl show -P MainPID '{unit}'").stdout.strip()
        uid = int(host.run(f"stat -c %u /proc/{pid}").stdout)
        # systemd's range of dynamic users; those that the firewall knows by their numbers are the system's.
        assert 61184 <= uid <= 65519 or 100 <= uid < 1000, unit
        users.add(uid)
        exposure = host.run(f"systemd-analyze security --no-pager '{unit}' | tail -1").stdout
        assert exposure.split()[-2] in ("OK", "SAFE"), exposure
    assert len(users) == len(UNITS)
