"""What is checked: the servers of the reference inventory, with another model and other ports."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaCppPython, LlamaServer
from roles.options import Deployment, LocalFile, PythonSdist, Route, Stack, UserScope
from roles.plan import Generation, HostPlan, ResolvedInstall, Unit, resolve
from roles.rooms import plan_of
from tests.inventories import load_stack

_PROVIDERS = load_stack("gpu-box.py", "gpu-box").providers
NATIVE = next(provider for provider in _PROVIDERS if isinstance(provider, LlamaServer))
PYTHON = next(provider for provider in _PROVIDERS if isinstance(provider, LlamaCppPython))
assert isinstance(NATIVE.build, LlamaCppBuild)
BUILD = NATIVE.build.model_copy(update={"cuda_toolkit": "installed"})
"""No network is needed: this machine's own toolkit compiles it."""
_PROCESSOR = NATIVE.build.model_copy(update={"backend": "cpu"})
assert isinstance(BUILD.source, PythonSdist)
SOURCE = BUILD.source

MODEL = "check.gguf"
_PORTS = {"native": 18080, "python": 18000}
_SECRET = "gpu-check-" + "0" * 16
"""The key of both servers. They listen on loopback for seconds, and know nothing."""


@dataclass(frozen=True)
class Deployed:
    """A generation on this machine, in user scope: it needs neither systemd nor root, and its programs are confined in
    no units. Only its home is one of the check's own."""

    plan: HostPlan
    generation: Generation

    @property
    def config(self) -> Path:
        return Path(self.plan.layout.config)

    @property
    def build(self) -> ResolvedInstall:
        return self._install("source-build")

    @property
    def environment(self) -> ResolvedInstall:
        """That of the Python server."""
        return self._install("python-env", self.build.install.name)

    @property
    def model(self) -> Path:
        return Path(self._install("sent-model").folder, MODEL)

    @property
    def cache(self) -> Path:
        return Path(self.plan.layout.cache)

    def unit(self, provider: str) -> Unit:
        (found,) = (unit for unit in self.plan.units if unit.name.endswith(f"@{provider}.service"))
        return found

    def _install(self, kind: str, name: str = "") -> ResolvedInstall:
        return next(
            each
            for each in self.generation.installs
            if each.install.kind == kind and each.install.name.startswith(name)
        )


def deployed(home: Path, architectures: str | None) -> Deployed:
    """Plan and write it.

    Args:
        architectures: what the cards need compiled, as CMake takes it; None = all is for the processor.
    """
    # Nothing checks the digest: the model is made where it is to lie.
    model = LocalFile(path=f"/{MODEL}", sha256="0" * 64)
    placed = {"build": BUILD} if architectures else {"build": _PROCESSOR, "gpus": None}
    native, python = (
        provider.model_copy(update={"model": model, "port": _PORTS[provider.name], **placed})
        for provider in (NATIVE, PYTHON)
    )
    stack = Stack(
        providers=[native, python],
        routes=[
            Route(name=provider.name, deployments=[Deployment(provider=provider.name)]) for provider in (native, python)
        ],
        gateway=LiteLLM(canary=False),
        scope=UserScope(user="root", home=str(home)),
    )
    plan = plan_of(stack)
    generation = resolve(
        plan,
        {
            "machine": platform.machine(),
            "os": "check",
            "python": platform.python_version(),
            "cpu": "0" * 16,
            "gpu": architectures or "",
        },
        lambda _: _SECRET,
    )
    made = Deployed(plan, generation)
    _write(made)
    return made


def _write(made: Deployed) -> None:
    """As the program `generation` does it, but for what makes that safe from cuts."""
    folder = Path(made.generation.folder)
    shutil.rmtree(folder, ignore_errors=True)
    for name, file in made.generation.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    for name, target in made.generation.links.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    for secret in made.plan.generated_secrets:
        path = Path(secret.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f'{name}="{_SECRET}"\n' for name in secret.names))
    made.config.unlink(missing_ok=True)
    made.config.symlink_to(folder)
