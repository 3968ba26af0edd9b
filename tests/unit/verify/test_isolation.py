"""What root runs on a host is the host's and ours: nothing of the caller's folder, environment, home or PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from roles.contract.recipes import PythonEnvRecipe
from roles.host.program import python_command
from roles.options import SystemScope, UserScope
from roles.plan import HostPlan, layout_of
from roles.plan.verifier import ENVIRONMENT, SOURCES, verifier_command, verifier_installs
from roles.rooms import plan_of
from tests.gpu_program import write_gpu_program
from tests.inventories import load_stack
from tests.labhost.paths import REPOSITORY

_ROLES = REPOSITORY / "roles"


class _Trap:
    """A user's folder full of what Python or a shell could take for its own. Whatever of it runs leaves a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "trap"
        self._sprung = folder / "sprung"
        self._sprung.mkdir(mode=0o777)
        # By what every Python has loaded already: it must not spring itself.
        code = f"import os; os.close(os.open(os.path.join({str(self._sprung)!r}, __name__), os.O_CREAT))\n"
        modules = ["roles/__init__", "roles/verify/__init__", "httpx/__init__", "yaml/__init__", "rich/__init__"]
        modules += ["json", "argparse", "pathlib", "subprocess", "socket", "sitecustomize", "usercustomize"]
        user_site = f"home/.local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        for module in (*modules, f"{user_site}/usercustomize"):
            path = self.folder / f"{module}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        (self.folder / user_site / "trap.pth").write_text(f"{code.strip()}\n")
        self.pth = code
        for program in ("systemctl", "journalctl", "hostname", "timedatectl", "python3", "env", "nvidia-smi"):
            path = self.folder / "bin" / program
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n/usr/bin/touch {self._sprung}/{program}\n")
            path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": f"{folder}/home",
            "PYTHONPATH": folder,
            "PYTHONSTARTUP": f"{folder}/json.py",
            "PYTHONUSERBASE": f"{folder}/home/.local",
            "PYTHONHOME": folder,
            "LD_LIBRARY_PATH": folder,
            "ENV": f"{folder}/json.py",
            "BASH_ENV": f"{folder}/json.py",
        }

    def sprung(self) -> list[str]:
        return sorted(path.name for path in self._sprung.iterdir())


@pytest.fixture
def trap(tmp_path: Path) -> _Trap:
    return _Trap(tmp_path)


@pytest.fixture
def verifier(tmp_path: Path, trap: _Trap) -> Path:
    """The command of a generation whose installs lie in a folder; its environment holds files that site would run."""
    layout = layout_of(UserScope(user="alice", home=str(tmp_path)))
    environment, sources = Path(layout.install(ENVIRONMENT)), Path(layout.install(SOURCES))
    packages = environment / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth":
            (packages / path.name).symlink_to(path)
    (packages / "evil.pth").write_text(trap.pth)
    (packages / "sitecustomize.py").write_text(trap.pth)
    (environment / "bin").mkdir()
    (environment / "bin/python").symlink_to(Path(sys.executable).resolve())
    (environment / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (sources / "roles").mkdir(parents=True)
    (sources / "roles/__init__.py").write_text("")
    for package in ("contract", "verify"):
        shutil.copytree(_ROLES / package, sources / "roles" / package)
    command = Path(layout.config) / "bin/verify"
    command.parent.mkdir()
    command.write_text(verifier_command(layout))
    command.chmod(0o755)
    return command


def test_the_verifier_runs_nothing_of_its_callers(verifier: Path, trap: _Trap) -> None:
    done = subprocess.run(
        [verifier, "--json"], cwd=trap.folder, env=trap.environment, capture_output=True, text=True, check=False
    )
    # There is no generation to be looked at: it came as far as to say so.
    assert done.stderr.startswith("verify: ")
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert trap.sprung() == []


def test_the_trap_is_one(verifier: Path, trap: _Trap) -> None:
    """Else the test above would verify nothing: started plainly, the same Python runs the user's code."""
    python = next(word for word in verifier.read_text().split() if word.endswith("/bin/python"))
    environment = {name: value for name, value in trap.environment.items() if name != "PYTHONHOME"}
    subprocess.run(
        [python, "-m", "roles.verify", "--json"], cwd=trap.folder, env=environment, capture_output=True, check=False
    )
    subprocess.run(["/bin/sh", "-c", "systemctl"], env=environment, check=False)
    assert {"sitecustomize", "systemctl"} <= set(trap.sprung())
    assert any(name.startswith("roles") or name in ("json", "argparse", "pathlib") for name in trap.sprung())


def test_how_it_prints_is_still_the_callers_to_say(verifier: Path, trap: _Trap) -> None:
    start = Path(layout_of(UserScope(user="alice", home=str(verifier.parents[3]))).install(SOURCES))
    (start / "roles/verify/start.py").write_text("import os, sys\nprint(sorted(os.environ), sys.flags.isolated)\n")
    given = {**trap.environment, "TERM": "xterm", "COLUMNS": "80 ", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "X": "*"}
    done = subprocess.run([verifier], cwd=trap.folder, env=given, capture_output=True, text=True, check=True)
    shown = done.stdout.replace("'LC_CTYPE', ", "")
    assert shown == "['COLUMNS', 'LC_ALL', 'NO_COLOR', 'PATH', 'TERM'] 1\n"


def test_another_python_than_at_the_deploy_is_told(verifier: Path) -> None:
    shutil.rmtree(verifier.parents[1] / "install" / ENVIRONMENT / "lib")
    done = subprocess.run([verifier], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"verify: there is no .*: the host's Python is not the one .*; run deploys/full.py\n", done.stderr
    )


def test_a_program_on_a_host_runs_nothing_of_the_users(trap: _Trap) -> None:
    text = (
        "import json, os, subprocess, sys\nprint(json.dumps([sys.argv[1:], sys.flags.isolated, sys.flags.no_site]))\n"
    )
    text += "subprocess.run(['systemctl', '--version'], check=False, stdout=sys.stderr)"
    command = str(python_command(text, "it's $PATH"))
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=trap.folder, env=trap.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == '[["it\'s $PATH"], 1, 1]\n'
    assert trap.sprung() == []


@pytest.fixture(scope="module")
def plan() -> HostPlan:
    return plan_of(load_stack("gpu-box.py", "gpu-box"))


def test_every_python_of_a_unit_is_isolated(plan: HostPlan) -> None:
    started = [
        command
        for unit in plan.units
        for command in re.findall(r"^Exec\w+=[-+!@:]*(\S*/python3?(?: |$).*)", unit.text.replace("\\\n", ""), re.M)
    ]
    assert len(started) >= 5
    assert [command for command in started if command.split()[1] != "-I"] == []


def test_the_verifier_has_few_packages_and_not_the_gateways(plan: HostPlan) -> None:
    environment = next(install for install in verifier_installs() if install.name == ENVIRONMENT)
    assert isinstance(environment.recipe, PythonEnvRecipe)
    pinned = re.findall(r"^([a-z0-9-]+)==", environment.recipe.requirements, re.M)
    assert 4 <= len(pinned) <= 20
    assert "litellm" not in pinned
    unit = next(unit for unit in plan.units if unit.name == "ai-backend-verify.service")
    assert "/install/litellm" not in unit.text + plan.files["bin/verify"]
    assert plan.staging is not None
    assert (plan.staging.environment, plan.staging.verifier) == (ENVIRONMENT, SOURCES)


def test_the_scope_of_the_system_has_the_same_command() -> None:
    assert "/etc/ai-backend/install/verifier-env/bin/python -I -S -B" in verifier_command(layout_of(SystemScope()))


def test_the_program_that_asks_for_cards_finds_no_tool_of_its_callers(
    plan: HostPlan, trap: _Trap, tmp_path: Path
) -> None:
    program = write_gpu_program(tmp_path)
    assert program.read_text() == plan.files["bin/gpu"]
    done = subprocess.run([program, "facts"], cwd=trap.folder, env=trap.environment, capture_output=True, check=True)
    assert b"cards" in done.stdout
    assert trap.sprung() == []
