"""A folder for models on another disk: what keeps it from being used, and how models get there from a former one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract.generation import INSTALL_MARK
from roles.contract.recipes import HostModelRecipe, ModelRecipe, SentModelRecipe
from roles.contract.requests import FoundModels, LookAtModels, MakeInstall, ModelsFolder, ReceiveFile
from roles.contract.wire import read
from roles.host.programs.console import HostError
from roles.host.programs.installers import download, host_models, install, receive
from roles.host.programs.installers.models_folder import folder_problem, link_models
from roles.host.programs.systemd import Manager
from tests.requests import make_install

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
RECIPE = ModelRecipe(url="http://127.0.0.1:9/never.gguf", sha256=DIGEST, filename="n.gguf")
"""Nothing answers there: what is made of it was copied."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the model in its usual place."""
    former = tmp_path / "state/models/0123"
    former.mkdir(parents=True)
    (former / "n.gguf").write_bytes(CONTENT)
    record = {"digest": ["sha256", DIGEST], "size": len(CONTENT), "mtime_ns": 1, "inode": 1}
    (former / INSTALL_MARK).write_text(json.dumps({"title": "n", "made": "then", "files": {"n.gguf": record}}))
    return tmp_path / "state"


def elsewhere(state: Path, name: str = "disk") -> ModelsFolder:
    disk = state.parent / name
    disk.mkdir(mode=0o755, exist_ok=True)
    return ModelsFolder(path=str(disk), link=f"{state}/models-elsewhere/{name}", shown=True)


def linked(state: Path, name: str = "disk") -> MakeInstall:
    """A request for the model in such a folder, once that is linked."""
    folder = elsewhere(state, name)
    link_models(folder)
    return make_install(Path(folder.link, "0123"), RECIPE, "model n", state=str(state))


def test_a_model_is_copied_to_the_new_folder_and_stays_in_the_former(state: Path) -> None:
    install.main(linked(state))
    disk = state.parent / "disk"
    assert (disk / "0123/n.gguf").read_bytes() == (state / "models/0123/n.gguf").read_bytes() == CONTENT
    assert json.loads((disk / "0123" / INSTALL_MARK).read_bytes())["files"]["n.gguf"]["digest"] == ["sha256", DIGEST]


def test_a_model_goes_from_one_disk_to_another_and_back_beside_the_state(state: Path) -> None:
    install.main(linked(state, "first"))
    shutil.rmtree(state / "models/0123")
    install.main(linked(state, "second"))
    shutil.rmtree(state.parent / "first/0123")
    install.main(make_install(state / "models/0123", RECIPE, "model n", state=str(state)))
    assert (state / "models/0123/n.gguf").read_bytes() == CONTENT


def test_a_former_file_that_was_changed_is_not_taken(state: Path) -> None:
    (state / "models/0123/n.gguf").write_bytes(CONTENT[:-1] + b"!")
    request = linked(state)
    with pytest.raises(HostError, match=r"models/0123/n.gguf has the digest .* run again to fetch it"):
        install.main(request)
    assert not (state.parent / "disk/0123" / INSTALL_MARK).exists()


def test_a_file_of_the_control_machine_is_not_sent_again(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = replace(linked(state), recipe=SentModelRecipe(sha256=DIGEST, filename="n.gguf"))
    receive.main(ReceiveFile(state=str(state), target=f"{request.folder}/n.gguf", piece=None))
    assert capsys.readouterr().out == f"{len(CONTENT)}\n"
    install.main(request)
    assert Path(request.folder, "n.gguf").read_bytes() == CONTENT


def test_what_was_recorded_of_a_model_of_the_host_is_remembered(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.gguf"
    file.write_bytes(b"one")
    recipe = HostModelRecipe(path=str(file), files=(str(file),), sha256=None)
    install.main(make_install(state / "models/4567", recipe, "kept", state=str(state)))
    file.write_bytes(b"two")
    request = linked(state)
    with pytest.raises(HostError, match="changed since it was first seen"):
        install.main(replace(request, folder=str(Path(request.folder).with_name("4567")), recipe=recipe))


def test_room_is_needed_on_each_disk_that_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/shm")
    free = {tmp_path.stat().st_dev: 1000 << 20, other.stat().st_dev: 1300 << 20}
    assert len(free) == 2, "the test needs two file systems"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free[path.stat().st_dev]))
    size = 300 << 20
    download.check_space(tmp_path, size, "n", copies=download.Copies(3, other / "not/there/yet"))
    with pytest.raises(HostError, match=r"What its server makes of n needs 1\.26 GB, but /dev/shm has"):
        download.check_space(tmp_path, size, "n", copies=download.Copies(4, other))
    with pytest.raises(HostError, match=r"n needs 314\.6 MB, and 943\.7 MB more for what its server makes of it"):
        download.check_space(tmp_path, size, "n", copies=download.Copies(3, tmp_path / "state"))
    download.check_space(tmp_path, size, "n", there=size, copies=download.Copies(2, tmp_path / "state"))


def test_a_folder_that_others_can_write_is_refused(state: Path) -> None:
    folder = elsewhere(state)
    Path(folder.path).chmod(0o777)
    assert f"can be written by others: run `chown {os.geteuid()} {folder.path} && chmod go-w" in str(
        folder_problem(folder)
    )
    Path(folder.path).chmod(0o755)
    state.parent.chmod(0o777)
    assert f"{state.parent}, above the `models_folder`, can be written by others" in str(folder_problem(folder))
    state.parent.chmod(0o700)
    assert folder_problem(folder) is None


def test_a_folder_without_its_mark_is_not_the_one_that_was_linked(state: Path) -> None:
    folder = elsewhere(state)
    link_models(folder)
    assert folder_problem(folder) is None
    (Path(folder.path) / ".ai-backend.json").unlink()
    assert "is not the folder that models were put into: mount its disk" in str(folder_problem(folder))
    with pytest.raises(HostError, match=f"run `rm {folder.link}` to begin anew"):
        link_models(folder)


def test_a_folder_of_another_host_is_refused(state: Path) -> None:
    folder = elsewhere(state)
    for mark in ('{"host": "another"}', "[]", "{", '{"host": 7}'):
        Path(folder.path, ".ai-backend.json").write_text(mark)
        assert "is that of another host" in str(folder_problem(folder))


def problems(folder: ModelsFolder, capsys: pytest.CaptureFixture[str]) -> tuple[str, ...]:
    host_models.main(LookAtModels(models=(), folder=folder))
    return read(FoundModels, json.loads(capsys.readouterr().out)).problems


def test_what_is_no_folder_is_named(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = elsewhere(state)
    assert problems(folder, capsys) == ()
    Path(folder.path).rmdir()
    assert problems(folder, capsys) == (
        f"{folder.path}, the `models_folder`, is not there: run `mkdir {folder.path}` where its disk is mounted",
    )
    Path(folder.path).write_text("")
    assert "is a regular empty file and not a folder" in problems(folder, capsys)[0]


def test_a_mount_point_without_its_disk_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is there, and what is written into it would go to the disk above."""

    def properties(_: object, unit: str, *names: str) -> dict[str, str]:
        loaded = unit.endswith("disk.mount")
        return {"LoadState": "loaded" if loaded else "not-found", "ActiveState": "inactive", "What": "/dev/sdb1"}

    monkeypatch.setattr(Manager, "properties", properties)
    folder = elsewhere(state)
    assert problems(folder, capsys) == (
        f"{folder.path} is not what it is meant to be: {folder.path}, on which /dev/sdb1 belongs, is not mounted: "
        f"run `mount {folder.path}`",
    )


def test_a_folder_that_services_may_not_enter_is_named(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = elsewhere(state)
    for above in (state.parent, *state.parent.parents):
        if above.owner() == state.owner() and above != above.parent:
            above.chmod(above.stat().st_mode | 0o111)  # pytest's own are closed to others
    Path(folder.path).chmod(0o600)
    (problem,) = problems(replace(folder, shown=False), capsys)
    Path(folder.path).chmod(0o755)
    assert problem.endswith(f"may not enter {folder.path}: run `chmod o+x {folder.path}`")
