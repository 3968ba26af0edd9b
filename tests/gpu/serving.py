"""What computes: the model that is made, the build, and the two servers started from it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from roles.contract.recipes import PythonEnvRecipe
from tests.gpu.building import build, is_built
from tests.gpu.packing import make_environment, say
from tests.gpu.reference import Deployed
from tests.gpu.server import Answer, Server, read_unit
from tests.gpu.steps import SkipStep, StepError
from tests.labhost.models import Shape, write_tiny_gguf

_MIB = 1 << 20
_SHAPE = Shape(width=2048, layers=13, heads=16, key_value_heads=4, feed_forward=6144, half=True, alike=True)
"""Some 1.26 GB: more than llama-server holds of a card where it computes on the processor, up to 0.8 GB on an H100."""
_SMALL = Shape(width=512, layers=6, heads=8, key_value_heads=2, feed_forward=1536, half=True)
"""Some 40 MB, for a processor."""
_SENTENCE = " ".join(f"word{number}" for number in range(1, 201))
_MOST_TOKENS = 256
_PROMPT = "Say all that you know. " * 40
"""Some 920 tokens: each letter is one."""
_TALKATIVE = ("--verbosity", "4")
"""Beyond what the unit says: llama-server then says which layers and buffers lie where."""


class Serving:
    """One generation's servers, of which one at most runs.

    Attributes:
        made: set once it is known what the machine has.
        server: what runs now.
        speeds: the answers, by where they were computed.
    """

    made: Deployed

    def __init__(self, pack: Path, work: Path, logs: Path, built: Path | None, *, on_card: bool) -> None:
        """`built`: a folder of programs to take instead of a build."""
        self._shape = _SHAPE if on_card else _SMALL
        self._pack, self._work, self._logs, self._built = pack, work, logs, built
        self.server: Server | None = None
        self.speeds: dict[str, Answer] = {}

    @property
    def running(self) -> Server:
        assert self.server
        return self.server

    def model(self) -> str:
        path = self.made.model
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tiny_gguf(path, says=_SENTENCE, name="check", shape=self._shape)
        return f"{shown(path.stat().st_size)} of random weights in F16, which say {len(_SENTENCE.split())} words"

    def build(self) -> str:
        if self._built:
            folder = Path(self.made.build.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "bin").unlink(missing_ok=True)
            (folder / "bin").symlink_to(self._built.resolve())
            raise SkipStep(f"{self._built} was given instead")
        if is_built(self.made):
            raise SkipStep("an earlier run of this check has made it")
        return build(self.made, self._pack, self._work / "programs", self._logs / "build.log", say)

    def start(self, provider: str, log: str, *more: str, checked: bool = True) -> Server:
        """Start one; what an earlier step has left running is ended first."""
        self.stop()
        unit = read_unit(self.made.unit(provider).text)
        if provider == "native":
            more = (*more, *_TALKATIVE)
        ready = checked and not self._built
        self.server = Server(unit, self._logs / f"{provider}-{log}.log", more, checked=ready)
        return self.server

    def ask(self, server: Server, where: str) -> Answer:
        server.chat("Hello", 8)  # the first one pays for what is made at first use
        answer = server.chat(_PROMPT, _MOST_TOKENS)
        if answer.text != _SENTENCE:
            raise StepError(f"it says {answer.text[:200]!r} instead of its sentence", server.said())
        self.speeds[where] = answer
        return answer

    def python(self, where: str) -> str:
        """llama-cpp-python over the libraries that were just built, as on hosts; its environment is the lock's."""
        environment = self.made.environment
        folder = Path(environment.folder)
        folder.mkdir(parents=True, exist_ok=True)
        python = make_environment(folder, self._work / "packages/server")
        assert isinstance(environment.recipe, PythonEnvRecipe)
        unit = read_unit(self.made.unit("python").text)
        tried = subprocess.run(
            [str(python), "-I", *environment.recipe.check],
            env={**os.environ, **unit.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if tried.returncode != 0:
            raise StepError("its first try failed", tried.stdout + tried.stderr)
        server = self.start("python", where)
        took = server.wait("/openapi.json")
        answer = self.ask(server, f"Python, {where}")
        return f"ready after {took:.1f} s, {speed(answer)}, the prompt's time included"

    def stop(self) -> float:
        """End what runs; the seconds that it took."""
        took = self.server.stop() if self.server else 0.0
        self.server = None
        return took


def shown(size: int | None) -> str:
    return "unknown size" if size is None else f"{size / _MIB:.0f} MiB"


def speed(answer: Answer) -> str:
    prompt = f"prompt {answer.prompt_speed:.0f} and " if answer.prompt_speed else ""
    return f"{prompt}{answer.speed:.0f} tokens/s"
