"""The built wheel, in an environment that has nothing else, gives the lint as a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.labhost.paths import REPOSITORY

UV = REPOSITORY / ".tools/bin/uv"
_PARAMETERS = {"model": "openai/m", "api_base": "http://127.0.0.1:8080/v1", "api_key": "none"}
GOOD = {"model_list": [{"model_name": "m", "litellm_params": _PARAMETERS}]}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's folder of programs."""
    folder = tmp_path_factory.mktemp("wheel")
    run = ["nice", str(UV), "--quiet"]
    subprocess.run([*run, "build", "--wheel", "--out-dir", folder, REPOSITORY], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*run, "venv", folder / "env"], check=True, timeout=60)
    subprocess.run(
        [*run, "pip", "install", "--python", folder / "env/bin/python", f"ai-unified-backend @ file://{wheel}"],
        check=True,
        timeout=300,
    )
    return folder / "env/bin"


def test_the_installed_lint_passes_a_good_file_and_refuses_a_broken_one(programs: Path, tmp_path: Path) -> None:
    file = tmp_path / "litellm.yaml"
    for router_settings, status, said in (
        ({}, 0, ""),
        ({"fallbacks": [{"m": ["nobody"]}]}, 1, "[fallback-target-missing]"),
    ):
        file.write_text(yaml.safe_dump({**GOOD, "router_settings": router_settings}))
        run = [programs / "ai-backend-lint", file]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, said in done.stdout) == (status, True), done


def test_the_hook_calls_the_installed_command_for_files_of_litellms_name(programs: Path) -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    assert (programs / hook["entry"]).is_file()
