"""Resolve: host plan + facts of the host + secrets → the exact bytes of a generation. Pure but for the secrets.

It computes three kinds of digest, all SHA-256:

- an install's: over its recipe, the platform facts it depends on, and the digests of the installs it needs. Its folder
  is named by it;
- a unit's: over the unit file without its comments, its environment, the files it reads and the installs it runs from.
  The process carries it in its environment, so the *running* state can be compared with the wanted one. It is in the
  unit file, not in the environment file. systemd may restart a process by itself after the switch, but before it reads
  the unit files again. Such a process gets the new environment file and the old command, and must show the old digest;
- the generation's: over all of its files and links. Its folder is named by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from roles.contract.activation import ActivationFile
from roles.contract.environment_file import environment_text
from roles.contract.generation import ACTIVATION, ActivatedUnit, PlatformKey
from roles.contract.holders import key_digest
from roles.contract.recipes import Recipe
from roles.contract.wire import written
from roles.options import GivenSecret
from roles.plan.installs import Install
from roles.plan.model import HostPlan
from roles.plan.outbound import ProxyLogin
from roles.plan.unit_file import DIGEST_PLACEHOLDER
from roles.plan.units import DigestOf, EnvValue, SecretAddress, ServerUnit, TaskUnit, Unit

_SHOWN_DIGITS = 16
"""Hexadecimal digits of a digest in folder names: 64 bits, for a few hundred folders per host."""


@dataclass(frozen=True)
class RenderedFile:
    content: bytes
    mode: int


@dataclass(frozen=True)
class ResolvedInstall:
    """An install and its folder on this host."""

    install: Install
    digest: str
    folder: str
    recipe: Recipe
    """The install's, with the folders of the needed installs and the facts of the host filled in."""


@dataclass(frozen=True)
class Generation:
    """A host plan rendered to bytes.

    Attributes:
        files: path below the generation's folder → content and mode.
        links: path below the generation's folder → target (absolute).
        unit_digests: unit name → digest.
    """

    digest: str
    folder: str
    files: Mapping[str, RenderedFile]
    links: Mapping[str, str]
    unit_digests: Mapping[str, str]
    installs: tuple[ResolvedInstall, ...]


def resolve(
    plan: HostPlan,
    platform: Mapping[PlatformKey, str],
    reveal: Callable[[GivenSecret], str] = lambda secret: secret.reveal(),
) -> Generation:
    """The generation of a plan on a host.

    Args:
        platform: facts of the host: machine (`x86_64`), os (`debian-12`), python (`3.11.2`), cpu (digest of its flags),
            gpu (architectures of its cards as a compiler takes them, e.g. `86;89`).
        reveal: reads a secret's value.
    """
    installs = _resolve_installs(plan, platform)
    files = {
        path: RenderedFile(text.encode(), 0o755 if path.startswith("bin/") else 0o644)
        for path, text in plan.files.items()
    }
    unit_digests = {}
    for unit in plan.units:
        environment = _revealed(unit.environment, reveal)
        digest = _unit_digest(unit, environment, files, installs)
        unit_digests[unit.name] = digest
        text = unit.text.replace(DIGEST_PLACEHOLDER, digest)
        files[f"units/{unit.name}"] = RenderedFile(text.encode(), 0o644)
        if whole := _revealed(unit.all_environment, reveal):
            files[unit.environment_file] = RenderedFile(environment_text(whole).encode(), 0o600)
    files[ACTIVATION] = RenderedFile(_activation(plan.units, unit_digests), 0o644)
    links = {f"install/{name}": resolved.folder for name, resolved in installs.items()}
    digest = _digest(
        {
            "files": {path: [_sha256(file.content), file.mode] for path, file in files.items()},
            "links": links,
        }
    )
    return Generation(
        digest=digest,
        folder=f"{plan.layout.generations}/{digest}",
        files=files,
        links=links,
        unit_digests=unit_digests,
        installs=tuple(installs.values()),
    )


def _activation(units: Sequence[Unit], digests: Mapping[str, str]) -> bytes:
    """The units in the order of the plan, each with its digest and with how it is stopped and waited for."""
    file = ActivationFile(units=tuple(_activated(unit, digests[unit.name]) for unit in units))
    return f"{json.dumps(written(file), indent=2)}\n".encode()


def _activated(unit: Unit, digest: str) -> ActivatedUnit:
    server = unit if isinstance(unit, ServerUnit) else None
    task = unit if isinstance(unit, TaskUnit) else None
    return ActivatedUnit(
        name=unit.name,
        kind=unit.kind,
        digest=digest,
        ready_url=server.endpoint.ready_url if server else None,
        done_file=task.done_file if task else None,
        timeout=unit.start_timeout,
        stop_timeout=unit.stop_timeout,
        drain=server.drain if server else None,
        effect_command=task.effect_command if task else (),
        last=bool(task and task.last),
        live=server.live if server else None,
    )


def _revealed(variables: Mapping[str, EnvValue], reveal: Callable[[GivenSecret], str]) -> dict[str, str]:
    return {name: _value(value, reveal) for name, value in sorted(variables.items())}


def _value(value: EnvValue, reveal: Callable[[GivenSecret], str]) -> str:
    match value:
        case DigestOf(secret):
            return key_digest(reveal(secret))
        case ProxyLogin() | SecretAddress():
            return value.address(reveal)
        case GivenSecret():
            return reveal(value)
        case _:
            return value


def _resolve_installs(plan: HostPlan, platform: Mapping[PlatformKey, str]) -> dict[str, ResolvedInstall]:
    resolved: dict[str, ResolvedInstall] = {}
    for install in plan.installs:
        needed = {name: resolved[name] for name in install.needs}
        facts = {f"platform:{key}": platform[key] for key in install.platform}
        digest = _digest(
            {
                "kind": install.kind,
                "recipe": install.recipe.document(),
                "platform": {key: platform[key] for key in install.platform},
                "needs": {name: other.digest for name, other in needed.items()},
            }
        )
        resolved[install.name] = ResolvedInstall(
            install=install,
            digest=digest,
            folder=f"{plan.layout.install_root(install.kind)}/{digest}",
            recipe=_filled_in(install.recipe, {**{name: other.folder for name, other in needed.items()}, **facts}),
        )
    return resolved


def _filled_in(value: Any, meanings: Mapping[str, str]) -> Any:
    """The same value, a recipe or a part of one, with `@name@` replaced by its meaning in every string."""
    if isinstance(value, str):
        for name, meaning in meanings.items():
            value = value.replace(f"@{name}@", meaning)
        return value
    if isinstance(value, Mapping):
        return {key: _filled_in(item, meanings) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_filled_in(item, meanings) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _filled_in(getattr(value, field.name), meanings) for field in fields(value)}
        )
    return value


def _unit_digest(
    unit: Unit,
    environment: Mapping[str, str],
    files: Mapping[str, RenderedFile],
    installs: Mapping[str, ResolvedInstall],
) -> str:
    return _digest(
        {
            "unit": _directives(unit.text),
            "environment": dict(environment),
            "reads": {path: _sha256(files[path].content) for path in unit.reads},
            "installs": {name: installs[name].digest for name in unit.installs},
        }
    )


def _directives(unit_file: str) -> str:
    """A unit file without its comments: another wording is no reason for a restart."""
    # systemd.syntax(7). A line that continues a command is indented, so it is none of them.
    return "\n".join(line for line in unit_file.splitlines() if line and not line.startswith(("#", ";")))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(value: Mapping[str, object]) -> str:
    return _sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())[:_SHOWN_DIGITS]
