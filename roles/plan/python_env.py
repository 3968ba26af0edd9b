"""Python environments as part of a host plan."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from roles.plan.model import Install, Json


def read_lock(room: str, name: str) -> str:
    """The text of `roles/<room>/locks/<name>.txt`: hash-locked requirements, made from the `.in` beside it."""
    return (files("roles") / room / "locks" / f"{name}.txt").read_text()


def python_env(
    room: str,
    package: str,
    version: str,
    *,
    name: str,
    disk: int,
    work_disk: int,
    build_lock: str | None = None,
    environment: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    first_try: str = "pass",
) -> Install:
    """An environment with what `roles/<room>/locks/<package>-<version>.txt` pins.

    Args:
        name: what units call it.
        disk: see `Install`.
        work_disk: see `Install`.
        build_lock: lock of what source packages are built with; none = no source package is in it.
        environment: variables for the installation.
        needs: see `Install`.
        first_try: Python that must run in the new environment before it counts.
    """
    variables: dict[str, Json] = dict(environment or {})
    return Install(
        kind="python-env",
        name=name,
        title=f"{package} {version}",
        recipe={
            "requirements": read_lock(room, f"{package}-{version}"),
            "build_requirements": read_lock(room, build_lock) if build_lock else "",
            "environment": variables,
            "check": [
                "-c",
                f"from importlib.metadata import version\nassert version('{package}') == '{version}'\n{first_try}",
            ],
        },
        needs=needs,
        platform=("machine", "os", "python"),
        disk=disk,
        work_disk=work_disk,
    )
