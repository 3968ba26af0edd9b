"""apt, for the driver: where its packages are from, which version is taken, and what is held.

All of it is in files of our own, beside the administrator's, which stay as they are.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from roles.host.programs.console import HostError, say
from roles.host.programs.files import make_folder, write_atomic
from roles.host.programs.processes import run

_NAME = "ai-backend-nvidia-driver"
_SOURCES = f"etc/apt/sources.list.d/{_NAME}.sources"
_PREFERENCES = f"etc/apt/preferences.d/{_NAME}"
_KEY = f"etc/apt/keyrings/{_NAME}"
_KEY_SUFFIXES = (".asc", ".gpg")
"""By its name apt knows whether a key is text."""
_HEADER = "# Written by AI Unified Backend for its option `driver`: do not edit.\n"
_COMPONENTS = ("contrib", "non-free", "non-free-firmware")
_OF_DRIVER = "nvidia-* libnvidia-* libcuda1 libcudadebugger1 firmware-nvidia-* cuda-drivers* xserver-xorg-video-nvidia"
_FIELDS = "$(SOURCESENTRY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)"
_QUIETLY = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "LC_ALL": "C.UTF-8"}
_OPTIONS = ("--yes", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0")


def _asked(*command: str) -> str:
    """What a command that only reads prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise HostError(f"cannot run {command[0]}: {error.strerror}") from None
    return done.stdout


def trusting(authorities: Path | None) -> tuple[str, ...]:
    """Options of apt for the file of the authorities that it trusts; none = as apt is set up."""
    return ("-o", f"Acquire::https::CAInfo={authorities}") if authorities else ()


def use_debian(reaching: Sequence[str], root: Path = Path("/")) -> None:
    """Let apt have the driver from the archives of Debian that it uses already, and from their mirrors.

    Args:
        reaching: further options of apt.

    Raises:
        HostError: apt uses none.
    """
    text = debian_sources(_asked("apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages"))
    if text is None:
        refresh(reaching)
        text = debian_sources(_asked("apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages"))
    if text is None:
        raise HostError(
            "apt has no archive of Debian's here, of which it could take `non-free` too: see /etc/apt/sources.list and "
            '/etc/apt/sources.list.d, or take `source="nvidia"`'
        )
    _write(root / _SOURCES, text)


def debian_sources(targets: str) -> str | None:
    """Entries for what is missing: Debian's archives, each with the components that it lacks.

    Args:
        targets: what apt has, a line each, as `_FIELDS` says.

    Returns:
        none = apt has no archive of Debian's, or has not read its lists yet.
    """
    has: dict[tuple[str, str, str], set[str]] = {}
    for line in targets.splitlines():
        entry, address, release, component, origin, signed = (*line.split("|"), "", "", "", "", "")[:6]
        if origin == "Debian" and f"/{_SOURCES}:" not in entry and not release.endswith("-backports"):
            has.setdefault((address, release, "" if signed.startswith("$") else signed), set()).add(component)
    archives = [(archive, components) for archive, components in has.items() if "main" in components]
    if not archives:
        return None
    entries = [
        _entry(address, release, missing, signed)
        for (address, release, signed), components in archives
        if (missing := [each for each in _COMPONENTS if each not in components])
    ]
    return "\n".join([_HEADER, *entries])


def _entry(address: str, release: str, components: Sequence[str], signed: str) -> str:
    lines = ["Types: deb", f"URIs: {address}", f"Suites: {release}"]
    lines += [f"Components: {' '.join(components)}"] if components else []
    lines += [f"Signed-By: {signed}"] if signed else []
    return "\n".join([*lines, ""])


def use_repository(address: str, key: bytes, root: Path = Path("/")) -> None:
    """Let apt have the driver, and nothing else, from a repository without suites, as NVIDIA's is.

    Args:
        key: the file of the key that it is signed with.
    """
    suffix = _KEY_SUFFIXES[0] if key.lstrip().startswith(b"-----BEGIN PGP") else _KEY_SUFFIXES[1]
    path = root / f"{_KEY}{suffix}"
    make_folder(path.parent)
    write_atomic(path, key, 0o644)
    entry = _entry(address.rstrip("/") + "/", "/", (), f"/{_KEY}{suffix}")
    _write(root / _SOURCES, f"{_HEADER}\n{entry}")


def prefer(version: str | None, repository: str | None, root: Path = Path("/")) -> None:
    """Say which version apt is to take, and that it takes nothing but the driver from a repository of others.

    Args:
        version: how it begins; none = the newest.
        repository: its address; none = Debian's own archives.
    """
    rules = []
    if repository:
        host = repository.partition("://")[2].partition("/")[0].partition(":")[0]
        rules = [("*", f'origin "{host}"', 100), (_OF_DRIVER, f'origin "{host}"', 600)]
    if version:
        # The first rule that fits a package is the one that counts. From 1001 on apt also takes an older one.
        rules.insert(0, (_OF_DRIVER, f"version /^([0-9]+:)?{version.replace('.', '[.]')}([.-]|$)/", 1001))
    path = root / _PREFERENCES
    if rules:
        texts = [f"Package: {packages}\nPin: {pin}\nPin-Priority: {priority}\n" for packages, pin, priority in rules]
        _write(path, "\n".join([_HEADER, *texts]))
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    make_folder(path.parent)
    if not path.is_file() or path.read_text() != text:
        write_atomic(path, text.encode(), 0o644)


def forget(root: Path = Path("/")) -> bool:
    """Remove our files for apt; whether there were any."""
    files = [root / name for name in (_SOURCES, _PREFERENCES, *(f"{_KEY}{suffix}" for suffix in _KEY_SUFFIXES))]
    there = [file for file in files if file.exists()]
    for file in there:
        file.unlink()
    return bool(there)


def refresh(options: Sequence[str]) -> None:
    run(("apt-get", *_OPTIONS, *options, "update"), what="refreshing the package lists", environment=_QUIETLY)


def candidate(package: str) -> str | None:
    """The version of a package that apt would install; none = apt knows no such package."""
    for line in _asked("apt-cache", "policy", package).splitlines():
        if line.strip().startswith("Candidate:"):
            found = line.partition(":")[2].strip()
            return None if found == "(none)" else found
    return None


def install(packages: Sequence[str], what: str, on_line: Callable[[str], None], options: Sequence[str]) -> None:
    command = (
        *("apt-get", *_OPTIONS, *options, "--no-install-recommends", "--allow-downgrades"),
        *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "install", *packages),
    )
    # A power failure may have interrupted dpkg, which then refuses everything else.
    run(("dpkg", "--configure", "-a"), what="finishing what dpkg began", environment=_QUIETLY, on_line=on_line)
    run(command, what=what, environment=_QUIETLY, on_line=on_line)


def hold(packages: Sequence[str]) -> None:
    if packages:
        say(f"held: {' '.join(packages)}")
        run(("apt-mark", "hold", *packages), what="holding the driver's packages")


def release(packages: Iterable[str]) -> None:
    if names := sorted(packages):
        say(f"no longer held: {' '.join(names)}")
        run(("apt-mark", "unhold", *names), what="letting go of the driver's packages")
