"""Checks of what gateways of other hosts ask this host for: each model answers, asked directly at its own address."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

from roles.contract.manifest import AskedModel
from roles.contract.modes import MODES
from roles.contract.verdict import Check
from roles.verify.checks.judging import concluded
from roles.verify.checks.routes import READERS
from roles.verify.context import VerificationContext
from roles.verify.generation import Provider
from roles.verify.probe.api import Api
from roles.verify.verdict.claim import Claim
from roles.verify.verdict.quoting import quoted


def asked_checks(context: VerificationContext) -> Iterator[Coroutine[Any, Any, Check]]:
    """The checks of all servers that gateways of other hosts use, to be awaited."""
    for provider in context.generation.providers:
        for asked in provider.asked:
            mode, probe = MODES[asked.mode], asked.probe
            wanted = f" with {quoted(probe.expects)}" if probe.expects and (mode.generates or mode.documents) else ""
            name = f"{asked.model}@{provider.name}"
            claim = Claim(
                f"route/{name}/asked-{asked.mode}", name, "answers gateways of other hosts", f"{mode.answer}{wanted}"
            )
            yield claim.check(_ask(provider, asked, context))


async def _ask(provider: Provider, asked: AskedModel, context: VerificationContext) -> str:
    mode, probe = MODES[asked.mode], asked.probe
    api = Api(context.client, provider.origin, provider.key())
    longest = {"max_tokens": probe.max_tokens, "temperature": 0} if mode.generates else {}
    body = {"model": asked.model, **mode.body(probe.prompt, probe.documents), **longest}
    reply = await api.post(f"/v1{mode.path}", body, probe.timeout)
    seen, problems = READERS[asked.mode](reply, probe)
    return concluded(seen, problems, ())
