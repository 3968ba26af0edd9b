"""The check itself: `python -m tests.gpu.check`, in the environment that `tests.gpu` has made."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from roles.contract.recipes import PythonEnvRecipe
from roles.host.programs.gpu.cards import Facts, cuda_architectures
from roles.host.programs.gpu.facts import facts
from tests.gpu.building import build, is_built
from tests.gpu.cuda import Holder, holding
from tests.gpu.driver_tool import asked, differences, document, recorded
from tests.gpu.packing import PYTHON, make_environment, say
from tests.gpu.reference import Deployed, deployed
from tests.gpu.server import Answer, Server, layers_on_cards, read_unit
from tests.gpu.steps import Row, SkipStep, Step, StepError, holds, run_steps, table
from tests.gpu.verifier import DRIVER, checked, must_say
from tests.labhost.models import Shape, write_tiny_gguf

_MIB = 1 << 20
_HELD = 2048 * _MIB
"""Bytes that a process of the check takes of a card."""
_SHAPE = Shape(width=2048, layers=13, heads=16, key_value_heads=4, feed_forward=6144, half=True, alike=True)
"""Some 1.26 GB: more than llama-server holds of a card where it computes on the processor, up to 0.8 GB on an H100."""
_SENTENCE = " ".join(f"word{number}" for number in range(1, 201))
_MOST_TOKENS = 256
_PROMPT = "Say all that you know. " * 40
"""Some 920 tokens: each letter is one."""
_TALKATIVE = ("--verbosity", "4")
"""Beyond what the unit says: llama-server then tells which layers and buffers lie where."""
_FREE_SHARE = "0.95"
_WAIT_SECONDS = "30"


class Check:
    """The steps, and what they hand on to each other."""

    def __init__(self, pack: Path, work: Path, built: Path | None) -> None:
        self._pack, self._work, self._built = pack, work, built
        self.recordings, self.logs = work / "recordings", work / "logs"
        self._facts: Facts = {**_NOTHING}
        self._deployed: Deployed | None = None
        self._server: Server | None = None
        self._speeds: dict[str, Answer] = {}

    def steps(self) -> list[Step]:
        """What is quick and tells most comes first. A step needs those alone that it cannot do without."""
        cards, native = "cards", "llama-server on the card"
        served = ("build", "model")
        return [
            Step(cards, self.cards),
            Step("facts as nvidia-smi shows them", self.facts, (cards,)),
            Step("memory as CUDA counts it", self.cuda, (cards,)),
            Step("verifier on a holder of memory", self.verifier_on_holder, (cards,)),
            Step("wait for the memory", self.wait, (cards,)),
            Step("MIG or a second card", self.other_cards, (cards,)),
            Step("model", self.model, (cards,)),
            Step("build", self.build, (cards,)),
            Step(native, self.native, served),
            Step("verifier on llama-server", self.verifier_on_native, (native,)),
            Step("memory is given back", self.given_back, (native,)),
            Step("Python server on the card", self.python_server, served),
            Step("verifier on --device none", self.without_device, served),
            Step("verifier on --n-gpu-layers 0", self.without_layers, served),
        ]

    def stop(self) -> None:
        """End what a step has left running."""
        if self._server:
            self._server.stop()
            self._server = None

    # The card ---------------------------------------------------------------------------------------------------

    def cards(self) -> str:
        """Find them, and plan what is to run on them: what the build compiles for is theirs to say."""
        first = facts()
        self._deployed = deployed(self._work / "home", cuda_architectures(first))
        self._facts = self._record("idle")
        if self._facts["vendor"] != "nvidia" or not self._facts["cards"]:
            raise StepError(f"no NVIDIA card is found: {self._facts['problem']}", json.dumps(self._facts, indent=2))
        return "; ".join(
            f"{card['name']}, {card['compute_capability']}, {_shown(card['memory_total'])}"
            for card in self._facts["cards"]
        )

    def facts(self) -> str:
        """Ask as the verifier does, and hold that against the tool's own document."""
        said = document()
        (self.logs / "nvidia-smi.xml").write_text(said)
        found = asked(self._made.config / "bin/gpu")
        wrong = differences(found, said)
        if wrong:
            raise StepError("; ".join(wrong), json.dumps(found, indent=2))
        driver = found["driver"]
        return f"they agree: driver {driver['kernel']}, NVML {driver['library']}, CUDA {driver['cuda']}"

    def cuda(self) -> str:
        with self._holding() as holder:
            counted = {device.uuid: device for device in holder.devices}
            now = self._record("held")
        for card in now["cards"]:
            device = counted.get(card["uuid"] or "")
            if device is None:
                continue
            ours = (card["name"], card["compute_capability"], card["memory_total"])
            if ours != (device.name, device.compute_capability, device.memory_total):
                raise StepError(f"the facts say {ours} and CUDA says {device}")
            if abs((card["memory_free"] or 0) - device.memory_free) > 64 * _MIB:
                raise StepError(f"the facts say {card['memory_free']} bytes are free, and CUDA {device.memory_free}")
        memory = _memory_of(now, holder.pid)
        if not _HELD <= memory <= _HELD + 2048 * _MIB:
            raise StepError(f"a process that took {_HELD} bytes is said to hold {memory}", json.dumps(now, indent=2))
        first = holder.devices[0]
        return (
            f"total {first.memory_total} and free {first.memory_free} agree; {_shown(_HELD)} held as {_shown(memory)}"
        )

    def verifier_on_holder(self) -> str:
        """It passes for the process that holds memory, and fails for one that does not."""
        with self._holding() as holder:
            seen = self._verified("native", holder.pid, wanted=True)
            self._verified("native", os.getpid(), wanted=False)
            refused = self._gpu("wait", "--vendor", "nvidia", "--free-share", "0.999", "--timeout", "4")
        if refused.returncode == 0 or f"pid {holder.pid}" not in refused.stdout + refused.stderr:
            raise StepError(
                "a wait for memory that is held does not name who holds it", refused.stdout + refused.stderr
            )
        return f"{seen}; a wait names the holder"

    def wait(self) -> str:
        """Once the holder is gone its memory is free: what units wait for before they start."""
        done = self._gpu("wait", "--vendor", "nvidia", "--free-share", _FREE_SHARE, "--timeout", _WAIT_SECONDS)
        if done.returncode != 0:
            raise StepError("the wait failed", done.stdout + done.stderr)
        return done.stdout.strip().splitlines()[-1]

    def other_cards(self) -> str:
        divided = [card for card in self._facts["cards"] if "divided by MIG" in (card["problem"] or "")]
        whole = [card for card in self._facts["cards"] if not card["problem"]]
        said = []
        for card in divided:
            refused = self._gpu("wait", "--vendor", "nvidia", "--uuid", str(card["uuid"]), "--timeout", "0")
            if refused.returncode == 0 or "MIG" not in refused.stderr:
                raise StepError("a divided card is given out", refused.stdout + refused.stderr)
            said.append(f"card {card['index']} is divided, and refused")
        if len(whole) > 1:
            second = whole[1]
            with holding(_HELD, {**os.environ, "CUDA_VISIBLE_DEVICES": str(second["uuid"])}) as holder:
                now = self._record("second")
            on = [card["index"] for card in now["cards"] for each in card["processes"] if each["pid"] == holder.pid]
            if on != [second["index"]]:
                raise StepError(f"a process on card {second['index']} is said to be on {on}", json.dumps(now, indent=2))
            said.append(f"a process is told to be on card {second['index']} alone")
        if not said:
            raise SkipStep("there is one whole card")
        return "; ".join(said)

    # What computes on it ----------------------------------------------------------------------------------------

    def model(self) -> str:
        path = self._made.model
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tiny_gguf(path, says=_SENTENCE, name="check", shape=_SHAPE)
        return f"{_shown(path.stat().st_size)} of random weights in F16, which say {len(_SENTENCE.split())} words"

    def build(self) -> str:
        if self._built:
            folder = Path(self._made.build.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "bin").unlink(missing_ok=True)
            (folder / "bin").symlink_to(self._built.resolve())
            raise SkipStep(f"{self._built} was given instead")
        if is_built(self._made):
            raise SkipStep("an earlier run of this check has made it")
        return build(self._made, self._pack, self._work / "programs", self.logs / "build.log", say)

    def native(self) -> str:
        before = self._free()
        server = self._start("native", "card")
        took = server.wait("/health")
        answer = self._ask(server, "GPU")
        now = self._record("llama_server")
        memory, size = _memory_of(now, server.pid), self._made.model.stat().st_size
        if memory < size:
            raise StepError(f"it holds {memory} bytes of the card, fewer than the {size} of its model", server.said())
        layers = layers_on_cards(server.said())
        if layers and layers[0] != layers[1]:
            raise StepError(f"{layers[0]} of {layers[1]} layers are on the card", server.said())
        told = f"{layers[0]} of {layers[1]} layers" if layers else "its log tells of no layers"
        return (
            f"ready after {took:.1f} s, {told}, {_shown(memory)} held ({_shown(before - self._free())} fewer free), "
            f"{_speed(answer)}"
        )

    def verifier_on_native(self) -> str:
        assert self._server
        verdicts = checked(self._made.config, self._unit("native"), self._server.pid, self._work / "proc")
        driver = must_say(verdicts, DRIVER, wanted=True)
        return f"{must_say(verdicts, self._check('native'), wanted=True)}; {driver}"

    def given_back(self) -> str:
        assert self._server
        took = self._server.stop()
        self._server = None
        return f"stopped in {took:.1f} s; {self.wait()}"

    def python_server(self) -> str:
        """llama-cpp-python over the libraries that were just built, as on hosts; its environment is the lock's."""
        environment = self._made.environment
        folder = Path(environment.folder)
        folder.mkdir(parents=True, exist_ok=True)
        python = make_environment(folder, self._work / "packages/server")
        assert isinstance(environment.recipe, PythonEnvRecipe)
        unit = read_unit(self._made.unit("python").text)
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
        server = self._start("python", "card")
        took = server.wait("/openapi.json")
        answer = self._ask(server, "Python")
        seen = self._verified("python", server.pid, wanted=True)
        self.stop()
        return f"ready after {took:.1f} s, {_speed(answer)}, the prompt's time included; the verifier: {seen}"

    def without_device(self) -> str:
        return self._on_processor("--device", "none")

    def without_layers(self) -> str:
        return self._on_processor("--n-gpu-layers", "0")

    def _on_processor(self, *options: str) -> str:
        """A server that answers as it should, and from the processor: that is what the verifier is there to see."""
        server = self._start("native", "-".join(option.strip("-") for option in options), *options, checked=False)
        server.wait("/health")
        answer = self._ask(server, "processor")
        held = _memory_of(asked(self._made.config / "bin/gpu"), server.pid)
        seen = self._verified("native", server.pid, wanted=False)
        self.stop()
        faster = f", {self._speeds['GPU'].speed / answer.speed:.1f} times slower" if "GPU" in self._speeds else ""
        return f"{_speed(answer)}{faster}, {_shown(held)} of the card held; the verifier: {seen}"

    # Parts of steps ---------------------------------------------------------------------------------------------

    @property
    def _made(self) -> Deployed:
        assert self._deployed
        return self._deployed

    def _holding(self) -> contextlib.AbstractContextManager[Holder]:
        return holding(_HELD, {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})

    def _record(self, case: str) -> Facts:
        hidden = {str(self._work): "/home/check"}
        found = recorded(self._made.config / "bin/gpu", self.recordings / case, hidden)
        (self.logs / f"facts-{case}.json").write_text(json.dumps(found, indent=2) + "\n")
        return found

    def _gpu(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The generation's program, run as a unit runs it."""
        command = [PYTHON, "-I", "-S", str(self._made.config / "bin/gpu"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)

    def _free(self) -> int:
        return sum(card["memory_free"] or 0 for card in asked(self._made.config / "bin/gpu")["cards"])

    def _unit(self, provider: str) -> str:
        return self._made.unit(provider).name

    def _check(self, provider: str) -> str:
        return f"unit/{self._unit(provider)}/gpu-memory"

    def _verified(self, provider: str, pid: int, *, wanted: bool) -> str:
        verdicts = checked(self._made.config, self._unit(provider), pid, self._work / "proc")
        return must_say(verdicts, self._check(provider), wanted)

    def _start(self, provider: str, log: str, *more: str, checked: bool = True) -> Server:
        """Start the only server there is: one that an earlier step has left is ended first."""
        self.stop()
        unit = read_unit(self._made.unit(provider).text)
        if provider == "native":
            more = (*more, *_TALKATIVE)
        ready = checked and not self._built
        self._server = Server(unit, self.logs / f"{provider}-{log}.log", more, checked=ready)
        return self._server

    def _ask(self, server: Server, where: str) -> Answer:
        server.chat("Hello", 8)  # the first one pays for what is made at first use
        answer = server.chat(_PROMPT, _MOST_TOKENS)
        if answer.text != _SENTENCE:
            raise StepError(f"it says {answer.text[:200]!r} instead of its sentence", server.said())
        self._speeds[where] = answer
        return answer


_NOTHING: Facts = {
    "vendor": None,
    "driver": {"kernel": None, "library": None, "cuda": None, "agree": True},
    "cards": [],
    "problem": None,
}


def _memory_of(found: Facts, pid: int) -> int:
    """Bytes of all cards that the driver says a process holds."""
    return sum(each["memory"] or 0 for card in found["cards"] for each in card["processes"] if each["pid"] == pid)


def _shown(size: int | None) -> str:
    return "unknown size" if size is None else f"{size / _MIB:.0f} MiB"


def _speed(answer: Answer) -> str:
    prompt = f"prompt {answer.prompt_speed:.0f} and " if answer.prompt_speed else ""
    return f"{prompt}{answer.speed:.0f} tokens/s"


def _write_out(check: Check, rows: Sequence[Row], text: str, out: Path) -> None:
    """Few files: a machine may give no more back."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.txt").write_text(text + "\n")
    (out / "table.json").write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n")
    for folder in (check.recordings, check.logs):
        with tarfile.open(out / f"{folder.name}.tar.gz", "w:gz") as packed:
            packed.add(folder, folder.name)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.check", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--built", type=Path)
    options = parser.parse_args(arguments)
    check = Check(options.pack, options.work, options.built)
    for folder in (check.recordings, check.logs):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        rows = run_steps(check.steps(), options.seconds, say)
    finally:
        check.stop()
    text = table(rows)
    print(text, flush=True)
    if options.out:
        _write_out(check, rows, text, options.out)
    return 0 if holds(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
