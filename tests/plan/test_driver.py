"""What a deploy sends to a host about its graphics driver, told by pyinfra's fake connector.

A fake host has no boots: it answers each question for its boot with another one.
"""

from __future__ import annotations

from pathlib import Path

from tests.plan.fake import passing_verdict, run_pyinfra

PASS = f"verdict={passing_verdict()!r}"
WITH = "small_stack(driver=NvidiaDriver())"
RUNS = """
def runs(**changes):
    packages = ["libcuda1", "nvidia-kernel-dkms", "nvidia-smi"]
    return {
        "boot": "b1", "container": False, "headers": "linux-headers-amd64",
        "installed": {**dict.fromkeys(packages, "535.309.01-0+deb12u1"), "linux-headers-amd64": "6.1.192-2"},
        "held": packages, "builders": ["nvidia-kernel-dkms"], "version": "535.309.01", "built": ["6.1.0-56-amd64"],
        "next_kernel": "6.1.0-56-amd64", "loaded": "535.309.01", "card": True, "problem": None, "key_refused": False,
        "own_installer": None, "record": {"source": "debian", "boot": "b0", "held": packages}, **changes,
    }
"""
LEFT = "lambda read: read['files'].update({'nvidia-driver.yaml': ['0' * 64, 0o644, 0]})"


def test_a_converged_host_with_a_driver_gets_one_read_more_and_nothing_else(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{RUNS}\nhosts = [fake('box', {WITH}, {PASS}, driver=runs())]")
    assert run.status == 0, run.output
    assert run.programs() == ["fact", "look", "verify"]
    assert run.output.count("No changes") == 9


def test_a_new_driver_is_followed_by_a_reboot_and_the_lock_is_taken_again_before_the_run_goes_on(
    tmp_path: Path,
) -> None:
    reboots = """
class Boots(dict):
    count = 0
    def get(self, key, default=None):
        self.count += key == "stdout"
        return f"boot {self.count}" if key == "stdout" else default

name, data = fake("box", STACK, VERDICT, driver=runs(version="530.30.02", card=False))
data["fake_responses"]["random/boot_id"] = Boots()
hosts = [(name, data)]
"""
    wanted = "small_stack(driver=NvidiaDriver(version='535'))"
    run = run_pyinfra(tmp_path, RUNS + reboots.replace("STACK", wanted).replace("VERDICT", PASS))
    assert run.status == 0, run.output
    assert "to install the NVIDIA driver, as it is 530.30.02, and 535 is wanted" in run.output
    steps = [step for step in run.programs() if step in ("deploy_lock", "fact", "install", "look")]
    assert steps[steps.index("install") :] == ["install", "deploy_lock", "fact", "look", "deploy_lock"], run.programs()
    sent = " ".join(command for _, command in run.commands)
    assert sent.index("driver.install") < sent.index("systemctl reboot") < sent.index("is-system-running --wait")


def test_packages_that_are_not_held_are_held_under_the_lock_without_a_reboot(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{RUNS}\nhosts = [fake('box', {WITH}, {PASS}, driver=runs(held=[]))]")
    assert run.status == 0, run.output
    assert "to hold libcuda1 nvidia-kernel-dkms nvidia-smi" in run.output
    steps = [step for step in run.steps() if step != "look"]
    assert steps == ["deploy_lock", "install", "verify", "deploy_lock"]
    assert "rebooting" not in run.output


def test_preflight_says_what_would_be_installed_and_that_the_host_is_rebooted(tmp_path: Path) -> None:
    bare = "runs(installed={}, held=[], builders=[], version=None, built=[], loaded=None, record=None)"
    run = run_pyinfra(tmp_path, f"{RUNS}\nhosts = [fake('box', {WITH}, {PASS}, driver={bare})]", "preflight.py")
    assert run.status == 0, run.output
    assert (
        "would install the NVIDIA driver, as nvidia-kernel-dkms nvidia-smi libcuda1 linux-headers-amd64" in run.output
    )
    assert "would reboot, for the NVIDIA driver to be loaded" in run.output
    assert run.programs() == ["fact", "look"]


def test_a_host_that_would_refuse_the_module_is_refused_before_its_first_change(tmp_path: Path) -> None:
    bare = "runs(installed={}, builders=[], version=None, built=[], loaded=None, record=None, key_refused=True)"
    run = run_pyinfra(tmp_path, f"{RUNS}\nhosts = [fake('box', {WITH}, {PASS}, driver={bare})]")
    assert run.status != 0
    assert "Secure Boot is on, and the firmware knows no key that dkms signs with" in run.output
    assert run.programs() == ["fact", "look"]


def test_once_the_inventory_says_nothing_of_it_the_driver_is_let_go(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"{RUNS}\nhosts = [fake('box', small_stack(), {LEFT}, {PASS}, driver=runs())]")
    assert run.status == 0, run.output
    assert "to let go of the NVIDIA driver" in run.output
    assert [step for step in run.steps() if step != "look"][:3] == ["deploy_lock", "leave", "write"]
