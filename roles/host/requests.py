"""What the programs that prepare a host and install something are asked: also by who needs the two without a deploy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.host.state import BUILD_USER
from roles.plan import Json, Layout, ResolvedInstall


def system_request(
    layout: Layout,
    packages: Sequence[str],
    keep_off: Sequence[str] = (),
    *,
    users: Sequence[str] = (),
    linger: bool = False,
) -> dict[str, Json]:
    """For the program `system`.

    Args:
        packages: those that are missing.
        keep_off: units that come with them and are not to start.
        users: system users that units run as, and that are missing.
        linger: turn lingering on for the user.
    """
    return {
        "state": layout.state,
        "packages": list(packages),
        "keep_off": list(keep_off),
        "build_user": _builder(layout),
        "users": list(users),
        "cache": layout.cache,
        "folders": [[layout.installs, 0o755], [layout.state, 0o755], [layout.cache, 0o755]],
        "lingering": linger,
    }


def install_request(layout: Layout, resolved: ResolvedInstall, uv: Mapping[str, str]) -> dict[str, Json]:
    """For the program `install`.

    Args:
        uv: folder and requirements of the uv that makes environments.
    """
    install = resolved.install
    return {
        "kind": install.kind,
        "title": install.title,
        "folder": resolved.folder,
        "recipe": dict(resolved.recipe),
        "state": layout.state,
        "token": install.token.reveal() if install.token else None,
        "cache": layout.cache,
        "build_user": _builder(layout),
        "uv": dict(uv),
    }


def _builder(layout: Layout) -> str | None:
    return BUILD_USER if layout.scope == "system" else None
