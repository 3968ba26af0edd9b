"""Python environments as part of a host plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from roles.contract.recipes import BackendCheck, PythonEnvRecipe
from roles.plan.installs import Install


def read_lock(room: str, name: str) -> str:
    """The text of `roles/<room>/locks/<name>.txt`: hash-locked requirements, made from the `.in` beside it."""
    return (files("roles") / room / "locks" / f"{name}.txt").read_text()


@dataclass(frozen=True)
class Indexes:
    """Sources of an environment's packages, if not the package index that the host is configured with.

    Attributes:
        index: an index to use instead.
        extra: further indexes.
        find_links: pages or folders with files of packages.
    """

    index: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()

    def arguments(self) -> tuple[str, ...]:
        """As uv takes them on its command line."""
        arguments = ["--default-index", self.index] if self.index else []
        for option, values in (("--index", self.extra), ("--find-links", self.find_links)):
            for value in values:
                arguments += [option, value]
        return tuple(arguments)


def python_env(
    name: str,
    package: str,
    version: str,
    *,
    requirements: str,
    disk: int,
    work_disk: int,
    build_requirements: str = "",
    indexes: Indexes = Indexes(),
    environment: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    first_try: str = "pass",
    backend: BackendCheck | None = None,
    toolkit: Literal["cuda"] | None = None,
) -> Install:
    """An environment with exactly what a lock pins.

    Args:
        name: its name in units.
        package: the package that it is made for; afterwards it must be installed in that version.
        requirements: hash-locked requirements, all of them: the host resolves nothing.
        disk: see `Install`.
        work_disk: see `Install`.
        build_requirements: hash-locked requirements for building source packages; empty = no source package.
        indexes: where packages come from.
        environment: variables for the installation.
        needs: see `Install`.
        first_try: Python code that must run in the new environment before it counts.
        backend: the backend of llama.cpp that it must have.
        toolkit: the toolkit for cards that its packages bring.
    """
    imports = f"from importlib.metadata import version\nassert version('{package}') == '{version}'\n{first_try}"
    return Install(
        name=name,
        title=f"{package} {version}",
        recipe=PythonEnvRecipe(
            requirements=requirements,
            build_requirements=build_requirements,
            indexes=indexes.arguments(),
            environment=environment or {},
            check=("-c", imports),
            backend=backend,
            toolkit=toolkit,
        ),
        needs=needs,
        platform=("machine", "os", "python"),
        disk=disk,
        work_disk=work_disk,
    )
