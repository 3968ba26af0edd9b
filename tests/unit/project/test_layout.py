"""Unit tests lie where what they test lies."""

from __future__ import annotations

from tests.labhost.paths import REPOSITORY

UNIT = REPOSITORY / "tests/unit"
ELSEWHERE = {
    "project",  # what concerns the repository as a whole
    "tests",  # what tests the tests' own programs
    "gpu_recordings",
    "lint/fixtures",
    "verify/gateway",  # several checks against one gateway that is written for it
}


def test_each_folder_mirrors_one_of_roles() -> None:
    folders = {path.parent.relative_to(UNIT).as_posix() for path in UNIT.rglob("test_*.py")}
    tested = {folder for folder in folders if not any(f"{folder}/".startswith(f"{each}/") for each in ELSEWHERE)}
    assert {folder for folder in tested if not (REPOSITORY / "roles" / folder).is_dir()} == set()
    assert "." not in tested, "a test lies in no room"
