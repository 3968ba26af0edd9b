"""Downloads of models: the network goes, files are corrupted or gated, or come from the control machine."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import Run, ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import says
from tests.labhost import LabHost
from tests.labhost.faulty_mirror import FaultyMirror
from tests.labhost.hub import publish
from tests.labhost.models import write_tiny_gguf

CHUNK = 1 << 20
"""Bytes. What a cut may cost: the most that is on the way and is sent again."""
SAYS = "This came all the way"
OFFLINE_SECONDS = 40
"""Longer than a download waits for the next byte, so that it must begin anew."""
SILENCE = 600
"""Seconds. TCP sends again what got no answer after pauses that double, and each may end in the next cut: what the run
hears of its host may come long after the download goes on, which is what is looked at here."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    host = new_module_host("models", prepared=True)
    deploy(host).must_pass()
    return host


def big_model(folder: Path, size: int) -> bytes:
    """A model that answers `SAYS`, made longer by zeros that nobody reads."""
    write_tiny_gguf(folder / "big.gguf", says=SAYS, name="big")
    with (folder / "big.gguf").open("ab") as file:
        file.truncate(size)
    return (folder / "big.gguf").read_bytes()


def native_with(folder: Path, model: str) -> Path:
    """An inventory whose native server serves a model of that declaration."""
    text = (
        f"from roles.options import *\nhosts = [lab_host(lab_stack(native={{'model': {model}}}, native_says={SAYS!r}))]"
    )
    return inventory_file(folder, text)


def native_where(folder: Path, model: str) -> Path:
    """The same, for one that answers as the lab's own."""
    return inventory_file(
        folder, f"from roles.options import *\nhosts = [lab_host(lab_stack(native={{'model': {model}}}))]"
    )


def hub_file(mirror: FaultyMirror, **options: object) -> str:
    return f"HubFile(endpoint='{mirror.url}', repository='org/big', revision='main', file='big.gguf', **{options!r})"


def fails(run: Run, *told: str) -> None:
    assert run.status == 1, run.output
    for words in told:
        assert words in run.output, run.output
    assert "Traceback" not in run.output


@pytest.mark.soak_only
def test_the_network_is_cut_three_times_and_the_download_resumes(
    host: LabHost, mirror: FaultyMirror, tmp_path: Path
) -> None:
    content = big_model(tmp_path, 40 * CHUNK)
    publish(mirror.folder, "org/big", {"big.gguf": content})
    mirror.faults.bytes_per_second = 6 * CHUNK
    cuts: list[int] = []
    over = threading.Event()

    def cut_three_times() -> None:
        for number in range(3):
            # At a random point of what is left, at a third of it at most, so that three fit in.
            goal = sent() + random.randint(CHUNK, 10 * CHUNK)
            if not reached(sent, goal):
                return
            host.cut_link()
            cuts.append(sent())
            over.wait(OFFLINE_SECONDS)
            host.restore_link()
            if not reached(requests, number + 2):
                return

    def reached(count: Callable[[], int], goal: int) -> bool:
        """Wait for it; false where the deploy is over before."""
        while count() < goal:
            if over.wait(0.02):
                return False
        return True

    def sent() -> int:
        return sum(served.sent for served in mirror.served if served.path.endswith(".gguf"))

    def requests() -> int:
        return sum(served.path.endswith(".gguf") for served in mirror.served)

    cutter = threading.Thread(target=cut_three_times)
    cutter.start()
    try:
        run = deploy(host, inventory=native_with(tmp_path, hub_file(mirror)), data={"ssh_silence": str(SILENCE)})
    finally:
        over.set()
        cutter.join()
    run.must_pass()
    assert len(cuts) == 3, run.output
    assert "trying again at" in run.output
    assert sent() - len(content) <= 3 * CHUNK
    digest = hashlib.sha256(content).hexdigest()
    assert digest in host.run("sha256sum /etc/ai-backend/install/model-big.gguf-*/big.gguf").stdout
    assert ask(host, "tiny-native") == SAYS


def test_a_corrupted_file_is_refused_and_named(host: LabHost, mirror: FaultyMirror, tmp_path: Path) -> None:
    content = big_model(tmp_path, 2 * CHUNK)
    publish(mirror.folder, "org/big", {"big.gguf": content})
    mirror.faults.flip_byte = 1_500_000
    digest = hashlib.sha256(content).hexdigest()
    fails(deploy(host, inventory=native_with(tmp_path, hub_file(mirror))), "big.gguf has the digest", f"not {digest}")
    assert failures(verdict(host)) == []


def test_a_gated_model_without_a_token_says_what_to_do_and_with_one_comes(
    host: LabHost, mirror: FaultyMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hf_0123456789abcdefghij"
    monkeypatch.setenv("LAB_HF_TOKEN", token)
    publish(mirror.folder, "org/big", {"big.gguf": big_model(tmp_path, 2 * CHUNK)})
    mirror.faults.wants_token = token
    run = deploy(host, inventory=native_with(tmp_path, hub_file(mirror)))
    fails(run, "org/big", "is gated, private, or not there (401)", 'token=EnvSecret("HF_TOKEN")')
    model = hub_file(mirror).replace("**{}", "token=EnvSecret('LAB_HF_TOKEN')")
    run = deploy(host, inventory=native_with(tmp_path, model)).must_pass()
    assert token not in run.output
    assert token not in host.run("journalctl --no-pager -o cat").stdout
    assert host.run(f"grep -rlF {token} /etc /opt/ai-backend /var/lib/ai-backend", check=False).stdout == ""
    assert ask(host, "tiny-native") == SAYS


def test_a_file_of_the_control_machine_is_sent_once_and_resumed(host: LabHost, tmp_path: Path) -> None:
    content = big_model(tmp_path, 100 * CHUNK)
    digest = hashlib.sha256(content).hexdigest()
    inventory = native_with(tmp_path, f"LocalFile(path={str(tmp_path / 'big.gguf')!r}, sha256='{digest}')")
    # Killed once something has come; a run says where it begins.
    killed = deploy(host, inventory=inventory, at="MB sent (")
    assert killed.status == -9, killed.output
    run = deploy(host, inventory=inventory).must_pass()
    begins = int(run.output.partition("from byte ")[2].split()[0])
    assert begins >= 16 * CHUNK
    assert digest in host.run("sha256sum /etc/ai-backend/install/model-big.gguf-*/big.gguf").stdout
    assert ask(host, "tiny-native") == SAYS
    (tmp_path / "big.gguf").unlink()
    assert "sending" not in deploy(host, inventory=inventory).must_pass().output
    fails(
        deploy(host, inventory=native_with(tmp_path, f"LocalFile(path='/nowhere.gguf', sha256='{'0' * 64}')")),
        "/nowhere.gguf is not there: fix `path`",
    )


A_MODEL = "$(ls /var/lib/ai-backend/models/*/native.gguf | head -n 1)"
"""One that is on the host, whatever deploys there were before."""


def test_a_model_on_another_disk_is_served_from_where_it_is_and_every_trouble_with_it_is_named(
    host: LabHost, tmp_path: Path
) -> None:
    mount = "[Mount]\nWhat=tmpfs\nType=tmpfs\nWhere=/data"
    host.run(f"mkdir -p /data && printf '{mount}' > /etc/systemd/system/data.mount && systemctl daemon-reload")
    host.run(f"systemctl start data.mount && install -m 644 {A_MODEL} /data/native.gguf")
    inventory = native_where(tmp_path, "HostFile(path='/data/native.gguf')")
    deploy(host, inventory=inventory).must_pass()
    assert ask(host, "tiny-native") == says("native.gguf")
    assert "/data/native.gguf" in host.run("systemctl show -p ExecStart llama-server@native").stdout
    host.run("chmod 600 /data/native.gguf")
    fails(
        deploy(host, "preflight.py", inventory=inventory),
        "cannot read /data/native.gguf: run `chmod o+r /data/native.gguf`",
    )
    host.run("chmod 644 /data/native.gguf && printf x >> /data/native.gguf")
    fails(deploy(host, inventory=inventory), "/data/native.gguf changed since it was first seen")
    (failure,) = failures(verdict(host))
    assert "/data/native.gguf has" in failure
    # What needs the mount is stopped with it.
    host.run("systemctl stop data.mount")
    assert host.run("systemctl is-active llama-server@native", check=False).stdout.strip() != "active"
    fails(
        deploy(host, "preflight.py", inventory=inventory),
        "/data, on which tmpfs belongs, is not mounted: run `mount /data`",
    )


def test_models_move_to_another_disk_and_back_and_are_never_fetched_again(host: LabHost, tmp_path: Path) -> None:
    disk = "[Mount]\nWhat=tmpfs\nType=tmpfs\nOptions=mode=755,size=1g\nWhere=/srv/disk\n"
    host.run(
        f"mkdir -p /srv/disk/models && printf '{disk}' > /etc/systemd/system/srv-disk.mount && systemctl daemon-reload"
    )
    stack = "Stack(**{**dict(lab_stack()), 'models_folder': '/srv/disk/models'})"
    inventory = inventory_file(tmp_path, f"from roles.options import *\nhosts = [lab_host({stack})]")
    # The folder is there, and its disk is not.
    fails(
        deploy(host, inventory=inventory),
        "/srv/disk, on which tmpfs belongs, is not mounted: run `mount /srv/disk`",
    )
    host.run("systemctl start srv-disk.mount && install -d -m 777 /srv/disk/models")
    fails(deploy(host, inventory=inventory), "can be written by others: run `chown 0 /srv/disk/models && chmod go-w")
    host.run("chmod go-w /srv/disk/models")
    run = deploy(host, inventory=inventory).must_pass()
    assert "native.gguf: copying" in run.output
    assert "native.gguf: fetching" not in run.output
    assert ask(host, "tiny-native") == says("native.gguf")
    (model,) = host.run("ls -d /srv/disk/models/*/native.gguf").stdout.split()
    pid = host.run("systemctl show -p MainPID --value llama-server@native").stdout.strip()
    assert model in host.run(f"cat /proc/{pid}/maps; ls -l /proc/{pid}/fd").stdout
    assert "No changes" in deploy(host, inventory=inventory).must_pass().results()["Make installs"]
    # What needs its disk is stopped with it, and nothing is written to the disk below.
    host.run("systemctl stop srv-disk.mount")
    assert host.run("systemctl is-active llama-server@native", check=False).stdout.strip() != "active"
    fails(deploy(host, inventory=inventory), "/srv/disk, on which tmpfs belongs, is not mounted")
    assert host.run("ls -A /srv/disk/models").stdout == ""
    # Without the disk, the former models are where they were.
    deploy(host).must_pass()
    assert ask(host, "tiny-native") == says("native.gguf")


def test_of_a_home_the_server_sees_its_model_alone(host: LabHost, tmp_path: Path) -> None:
    host.run(
        "install -d -m 700 /home/ada && echo secret > /home/ada/diary"
        f" && install -m 644 {A_MODEL} /home/ada/native.gguf"
    )
    inventory = native_where(tmp_path, "HostFile(path='/home/ada/native.gguf')")
    deploy(host, inventory=inventory).must_pass()
    assert ask(host, "tiny-native") == says("native.gguf")
    pid = host.run("systemctl show -p MainPID --value llama-server@native").stdout.strip()
    assert host.run(f"ls -A /proc/{pid}/root/home/ada").stdout.split() == ["native.gguf"]
