"""What is written for apt, as apt itself reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from roles.host.programs.console import HostError
from roles.host.programs.driver import apt

_TARGETS = """\
/etc/apt/sources.list:1|http://mirror.example.com/debian/|bookworm|main|Debian|$(SIGNED_BY)
/etc/apt/sources.list:2|http://mirror.example.com/debian/|bookworm-updates|main|Debian|$(SIGNED_BY)
/etc/apt/sources.list.d/security.sources:1|http://mirror.example.com/security/|bookworm-security|main|Debian|/a.gpg
/etc/apt/sources.list.d/security.sources:1|http://mirror.example.com/security/|bookworm-security|non-free|Debian|/a.gpg
/etc/apt/sources.list:3|http://mirror.example.com/debian/|bookworm-backports|main|Debian|$(SIGNED_BY)
/etc/apt/sources.list.d/node.sources:1|https://node.example.com/|nodistro|main|Node|/n.gpg
"""
"""`apt-get indextargets` of a host whose administrator has one component of non-free."""


def test_each_archive_of_debians_gets_what_it_lacks() -> None:
    text = apt.debian_sources(_TARGETS)
    assert text is not None
    assert text.split("\n\n")[1:] == [
        "Types: deb\nURIs: http://mirror.example.com/debian/\nSuites: bookworm\n"
        "Components: contrib non-free non-free-firmware",
        "Types: deb\nURIs: http://mirror.example.com/debian/\nSuites: bookworm-updates\n"
        "Components: contrib non-free non-free-firmware",
        "Types: deb\nURIs: http://mirror.example.com/security/\nSuites: bookworm-security\n"
        "Components: contrib non-free-firmware\nSigned-By: /a.gpg\n",
    ]


def test_our_own_entries_do_not_count_as_the_administrators() -> None:
    ours = "/etc/apt/sources.list.d/ai-backend-nvidia-driver.sources"
    added = "".join(
        f"{ours}:4|http://mirror.example.com/debian/|bookworm|{component}|Debian|$(SIGNED_BY)\n"
        for component in ("contrib", "non-free", "non-free-firmware")
    )
    assert apt.debian_sources(_TARGETS + added) == apt.debian_sources(_TARGETS)


@pytest.mark.parametrize("targets", ["", _TARGETS.splitlines()[-1]], ids=["no lists yet", "only others' archives"])
def test_without_an_archive_of_debians_there_is_nothing_to_add_to(targets: str) -> None:
    assert apt.debian_sources(targets) is None


def _policy(root: Path, packages: dict[str, list[str]], name: str) -> str:
    """The version that the real apt would install, of packages in a repository on this machine's disk, with what is
    written below `root`."""
    repository = root / "repository"
    repository.mkdir(exist_ok=True)
    (repository / "Packages").write_text(
        "\n".join(
            f"Package: {package}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"
            f"Filename: ./{package}_{version}_all.deb\nSize: 1\nSHA256: {'0' * 64}\n"
            for package, versions in packages.items()
            for version in versions
        )
    )
    for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/preferences.d", "status.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").write_text("")
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] copy:{repository} ./\n")
    options = [
        *("-o", f"Dir={root}", "-o", f"Dir::State::status={root}/status", "-o", "APT::Architecture=amd64"),
        *("-o", "APT::Sandbox::User=root", "-o", "Dir::Bin::Methods=/usr/lib/apt/methods"),
    ]
    environment = {**os.environ, "APT_CONFIG": "/dev/null", "LC_ALL": "C.UTF-8"}
    update = subprocess.run(
        ["apt-get", *options, "update"], capture_output=True, text=True, env=environment, check=False
    )
    assert update.returncode == 0, update.stdout + update.stderr
    shown = subprocess.run(
        ["apt-cache", *options, "policy", name], capture_output=True, text=True, env=environment, check=True
    )
    return next(line.split()[1] for line in shown.stdout.splitlines() if "Candidate:" in line)


@pytest.mark.parametrize(
    ("version", "candidate"),
    [
        pytest.param(None, "580.95.05-1", id="the newest"),
        pytest.param("535", "535.309.01-1", id="the newest of a branch"),
        pytest.param("535.261", "535.261.03-1", id="one of a branch"),
        pytest.param("53", "580.95.05-1", id="not one that only begins alike"),
    ],
)
def test_apt_takes_the_version_that_is_wanted(tmp_path: Path, version: str | None, candidate: str) -> None:
    apt.prefer(version, None, tmp_path)
    there = {"nvidia-open": ["535.261.03-1", "535.309.01-1", "580.95.05-1"]}
    assert _policy(tmp_path, there, "nvidia-open") == candidate


def test_nothing_is_preferred_where_the_newest_is_wanted(tmp_path: Path) -> None:
    apt.prefer("535", None, tmp_path)
    apt.prefer(None, None, tmp_path)
    assert not (tmp_path / "etc/apt/preferences.d/ai-backend-nvidia-driver").exists()


def test_a_repository_of_others_may_give_the_driver_and_nothing_else(tmp_path: Path) -> None:
    apt.use_repository("https://nvidia.example.com/debian12/x86_64/", b"-----BEGIN PGP PUBLIC KEY BLOCK-----", tmp_path)
    apt.prefer(None, "https://nvidia.example.com:8443/debian12/x86_64", tmp_path)
    sources = (tmp_path / "etc/apt/sources.list.d/ai-backend-nvidia-driver.sources").read_text()
    assert sources.split("\n\n")[1] == (
        "Types: deb\nURIs: https://nvidia.example.com/debian12/x86_64/\nSuites: /\n"
        "Signed-By: /etc/apt/keyrings/ai-backend-nvidia-driver.asc\n"
    )
    preferences = (tmp_path / "etc/apt/preferences.d/ai-backend-nvidia-driver").read_text()
    assert 'Package: *\nPin: origin "nvidia.example.com"\nPin-Priority: 100\n' in preferences
    assert apt.forget(tmp_path)
    assert not apt.forget(tmp_path)
    assert not [*(tmp_path / "etc/apt/keyrings").iterdir()]


def test_a_failed_refresh_says_what_apt_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: no network'; exit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(HostError, match=r"(?s)refreshing the package lists failed.*no network"):
        apt.refresh(())
