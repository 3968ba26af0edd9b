"""Models that are on the host already: what keeps their servers from reading them, and what is recorded of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roles.contract.generation import INSTALL_MARK
from roles.contract.models import HOMES
from roles.contract.recipes import HostModelRecipe
from roles.contract.requests import FoundModels, HostModel, LookAtModels
from roles.contract.wire import read
from roles.host.programs.console import HostError
from roles.host.programs.installers import host_models, install
from roles.host.programs.installers.install_files import is_damaged
from roles.host.programs.systemd import Manager
from tests.requests import make_install

Problems = Callable[[HostModel], tuple[str, ...]]


@pytest.fixture
def problems(capsys: pytest.CaptureFixture[str]) -> Problems:
    def asked(model: HostModel) -> tuple[str, ...]:
        host_models.main(LookAtModels(models=(model,)))
        return read(FoundModels, json.loads(capsys.readouterr().out)).problems

    return asked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "qwen"
    made.mkdir(mode=0o755)
    for name in ("config.json", "model.safetensors"):
        (made / name).write_text(name)
        (made / name).chmod(0o644)
    for above in made.parents:
        if above.owner() == made.owner() and above != above.parent:
            above.chmod(above.stat().st_mode | 0o111)  # pytest's own are closed to others
    return made


def seen(path: Path, *, folder: bool = False) -> HostModel:
    """A model that its unit is shown: the folders above it do not count."""
    return HostModel(path=str(path), folder=folder, sees=str(path))


def test_a_model_that_everybody_may_read_is_fine(folder: Path, problems: Problems) -> None:
    assert problems(seen(folder, folder=True)) == ()
    assert problems(seen(folder / "model.safetensors")) == ()


def test_what_the_services_user_cannot_read_is_named_with_the_command_that_fixes_it(
    folder: Path, problems: Problems
) -> None:
    file = folder / "model.safetensors"
    file.chmod(0)
    (problem,) = problems(seen(folder, folder=True))
    assert f"`chmod -R o+rX {folder}`" in problem
    (problem,) = problems(HostModel(path=str(file), folder=False))
    assert f"`chmod o+r {file}`" in problem


def test_a_folder_above_that_the_services_user_may_not_enter_is_named(folder: Path, problems: Problems) -> None:
    folder.parent.chmod(0o600)
    (problem,) = problems(HostModel(path=str(folder), folder=True))
    folder.parent.chmod(0o755)
    # Without root's rights, what is behind it cannot be seen at all.
    seen_by_root = f"may not enter {folder.parent}: run `chmod o+x {folder.parent}`"
    assert (seen_by_root if os.geteuid() == 0 else "is not there") in problem


def test_what_is_not_there_or_of_another_kind_is_named(folder: Path, problems: Problems) -> None:
    (gone,) = problems(seen(folder / "gone.gguf"))
    assert gone == f"{folder / 'gone.gguf'} is not there: put it there first, or fix `path`"
    (kind,) = problems(seen(folder))
    assert kind == f"{folder} is a directory and not a file: give a HostFolder, or fix `path`"
    (kind,) = problems(seen(folder / "config.json", folder=True))
    assert kind == f"{folder / 'config.json'} is a regular file and not a folder: give a HostFile, or fix `path`"


def test_a_disk_that_is_not_mounted_is_named(
    tmp_path: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    def properties(_: object, unit: str, *names: str) -> dict[str, str]:
        away = unit.endswith("models.mount")
        return {"LoadState": "loaded" if away else "not-found", "ActiveState": "inactive", "What": "nas:/models"}

    monkeypatch.setattr(Manager, "properties", properties)
    (problem,) = problems(seen(tmp_path / "models/qwen/x.gguf"))
    away = tmp_path / "models"
    assert f"{away}, on which nas:/models belongs, is not mounted: run `mount {away}`" in problem


def test_a_share_whose_server_is_away_does_not_hold_up_the_deploy(
    folder: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_models, "_PATIENCE", 0.0)
    (problem,) = problems(seen(folder, folder=True))
    assert "does not answer within 0 s" in problem


def test_a_link_into_a_home_that_its_service_does_not_see_is_named(
    folder: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder.parent / "home"
    (home / "ada").mkdir(parents=True)
    (home / "ada/weights").write_text("w")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(home / "ada/weights")
    monkeypatch.setattr("roles.contract.models.HOMES", (*HOMES, str(home)))
    (problem,) = problems(seen(folder, folder=True))
    assert f"is a link to {home}/ada/weights" in problem
    assert problems(HostModel(path=str(folder), folder=True, sees=None)) == ()


def record(folder: Path, recipe: HostModelRecipe) -> dict[str, str]:
    install.main(make_install(folder, recipe, "model qwen"))
    files = json.loads((folder / INSTALL_MARK).read_text())["files"]
    return {path: found["digest"][1] for path, found in files.items()}


def of_folder(folder: Path) -> HostModelRecipe:
    return HostModelRecipe(path=str(folder), files=(), sha256=None)


def test_all_files_of_a_folder_are_recorded_and_nothing_is_copied(folder: Path, tmp_path: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache/lock").touch()
    made = tmp_path / "models/0123"
    assert set(record(made, of_folder(folder))) == {f"{folder}/config.json", f"{folder}/model.safetensors"}
    assert [path.name for path in made.iterdir()] == [INSTALL_MARK]


def test_another_content_is_named_with_both_digests_and_not_taken(folder: Path, tmp_path: Path) -> None:
    made, file = tmp_path / "models/0123", folder / "model.safetensors"
    before = record(made, of_folder(folder))
    assert not is_damaged(made)
    file.write_text("poisoned weights")
    assert is_damaged(made)
    with pytest.raises(HostError, match=f"{file} changed since it was first seen on .*{before[str(file)]}") as refused:
        record(made, of_folder(folder))
    assert f"remove {made} on the host" in str(refused.value)
    assert json.loads((made / INSTALL_MARK).read_text())["files"][str(file)]["digest"][1] == before[str(file)]


def test_a_file_that_was_only_touched_is_recorded_again(folder: Path, tmp_path: Path) -> None:
    made, file = tmp_path / "models/0123", folder / "model.safetensors"
    before = record(made, of_folder(folder))
    os.utime(file, (1, 1))
    assert is_damaged(made)
    assert record(made, of_folder(folder)) == before
    assert not is_damaged(made)


def test_a_file_that_went_away_is_named(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "models/0123"
    record(made, of_folder(folder))
    (folder / "config.json").unlink()
    with pytest.raises(HostError, match=r"config.json changed .* is gone"):
        record(made, of_folder(folder))


def test_a_declared_digest_is_held_to(folder: Path, tmp_path: Path) -> None:
    file = str(folder / "model.safetensors")
    recipe = HostModelRecipe(path=file, files=(file,), sha256="0" * 64)
    with pytest.raises(HostError, match=f"{file} has the digest [0-9a-f]*, not {'0' * 64} as declared"):
        record(tmp_path / "models/0123", recipe)


def test_a_folder_without_weights_is_refused_with_what_it_has(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(folder / "training_args.bin")
    with pytest.raises(HostError, match=r"no weights are there .* but 'config.json', 'training_args.bin'"):
        record(tmp_path / "models/0123", of_folder(folder))
