"""Which files a host lacks, asked as a deploy asks it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from roles.host.host_files import MissingFiles


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    there = tmp_path / "it's there"
    there.touch()
    link = tmp_path / "link"
    link.symlink_to(there)
    paths = [str(path) for path in (there, link, tmp_path, tmp_path / "not $there")]
    command = MissingFiles().command(paths).get_raw_value()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert MissingFiles().process(done.stdout.splitlines()) == paths[2:]
