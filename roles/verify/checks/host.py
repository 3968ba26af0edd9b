"""The checks of the host itself, and of the resources that its services use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.checks.binaries import binary_check
from roles.verify.checks.cards import card_checks
from roles.verify.checks.clock import clock_check
from roles.verify.checks.disks import disk_check
from roles.verify.checks.installs import install_checks
from roles.verify.checks.memory import memory_check
from roles.verify.checks.models import kept_model_checks, model_checks
from roles.verify.checks.open_ports import open_ports_check
from roles.verify.checks.packages import packages_check
from roles.verify.checks.restarts import restart_check
from roles.verify.checks.units import Settled
from roles.verify.context import VerificationContext
from roles.verify.generation import Service
from roles.verify.probe.processes import processes_of
from roles.verify.verdict.claim import CannotCheck, or_reason

_SHARED = tuple(map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/var/log")))
"""Folders that services, the engines' workers and the journal write to as well."""


async def host_checks(
    context: VerificationContext,
    settled: Settled,
    *,
    brought: Sequence[Awaitable[Check]],
    asked: Sequence[Awaitable[Check]],
    deep: bool,
) -> list[Coroutine[Any, Any, Check]]:
    """All of them, to be awaited.

    Args:
        brought: the checks of the tasks, which wait until models are there.
        asked: the checks of the routes, which make engines load models.
        deep: read every model's files.
    """
    generation, proc = context.generation, context.proc
    processes = await or_reason(
        asyncio.to_thread(processes_of, [service.unit for service in generation.services], proc)
    )

    def own(service: Service) -> Collection[int] | CannotCheck:
        return processes if isinstance(processes, CannotCheck) else processes[service.unit]

    return [
        disk_check((*generation.disks, context.runtime, *_SHARED)),
        clock_check(generation.folder / "providers.yaml", proc),
        open_ports_check(generation, proc),
        *card_checks(context, asked),
        *(restart_check(service, settled, generation.scope) for service in generation.services),
        *(memory_check(service, settled, own(service), proc) for service in generation.services),
        *(binary_check(service, own(service), proc) for service in generation.services),
        *([packages_check(generation.packages)] if generation.packages else []),
        *install_checks(generation, deep=deep),
        *model_checks(generation, deep=deep),
        *kept_model_checks(context, brought),
    ]
