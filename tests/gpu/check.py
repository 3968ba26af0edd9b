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

from roles.fit.llama_cpp import Settings
from roles.host.programs.gpu.cards import Facts, cuda_architectures, no_cards
from roles.host.programs.gpu.facts import facts
from tests.gpu import memory_plan
from tests.gpu.cuda import Holder, holding
from tests.gpu.driver_tool import asked, differences, document, recorded
from tests.gpu.memory_plan import Measured
from tests.gpu.metrics import differing, recorded_page
from tests.gpu.packing import PYTHON, say
from tests.gpu.reference import deployed
from tests.gpu.server import layers_on_cards
from tests.gpu.serving import Serving, shown, speed
from tests.gpu.steps import Outcome, Row, SkipStep, Step, StepError, holds, run_steps, table
from tests.gpu.verifier import DRIVER, checked, must_say

_MIB = 1 << 20
_HELD = 2048 * _MIB
"""Bytes that a process of the check takes of a card."""
_FREE_SHARE = "0.95"
_WAIT_SECONDS = "30"
_NO_CARD = "no NVIDIA card is here"
_NO_CARD_STATUS = 3
_ARCHITECTURE = "90"
"""Of a card that is not there: what is planned for one is not built then."""


class Check:
    """The steps, and what they hand on to each other."""

    def __init__(self, pack: Path, work: Path, built: Path | None) -> None:
        self._work = work
        self.recordings, self.logs = work / "recordings", work / "logs"
        self._facts: Facts = {**_NOTHING}
        self.has_card = facts() != no_cards()
        self._serving = Serving(pack, work, self.logs, built, on_card=self.has_card)

    def steps(self) -> list[Step]:
        """What is quick and says most comes first. A step needs those alone that it cannot do without."""
        cards, native, served = "cards", "llama-server on the card", ("build", "model")
        of_cards = [
            Step(cards, self.cards),
            Step("facts as nvidia-smi shows them", self.facts, (cards,)),
            Step("memory as CUDA counts it", self.cuda, (cards,)),
            Step("metrics as nvidia-smi shows them", self.metrics, ("memory as CUDA counts it",)),
            Step("verifier on a holder of memory", self.verifier_on_holder, (cards,)),
            Step("wait for the memory", self.wait, (cards,)),
            Step("MIG or a second card", self.other_cards, (cards,)),
        ]
        making = [Step("model", self._serving.model, (cards,)), Step("build", self._serving.build, (cards,))]
        serving = [
            Step(native, self.native, served),
            Step("verifier on llama-server", self.verifier_on_native, (native,)),
            Step("memory is given back", self.given_back, (native,)),
            Step("memory plan", self.memory_plan, served),
            Step("Python server on the card", self.python_server, served),
            Step("verifier on --device none", self.without_device, served),
            Step("verifier on --n-gpu-layers 0", self.without_layers, served),
        ]
        if self.has_card:
            return [*of_cards, *making, *serving]
        return [
            Step(cards, self.no_cards),
            *(Step(step.name, _skip_without_card) for step in of_cards[1:]),
            Step("verifier without a card", self.verifier_without_card),
            *making,
            Step("llama-server on the processor", self.native_on_processor, served),
            Step("memory plan", self.memory_plan, served),
            Step("Python server on the processor", self.python_on_processor, served),
            *(Step(step.name, _skip_without_card) for step in serving if step.run != self.memory_plan),
        ]

    def stop(self) -> None:
        """End what a step has left running."""
        self._serving.stop()

    # The card ---------------------------------------------------------------------------------------------------

    def cards(self) -> str:
        """Find them, and plan what is to run on them: what the build compiles for is theirs to say."""
        self._serving.made = deployed(self._work / "home", cuda_architectures(facts()))
        self._facts = self._record("idle")
        if self._facts["vendor"] != "nvidia" or not self._facts["cards"]:
            raise StepError(f"no NVIDIA card is found: {self._facts['problem']}", json.dumps(self._facts, indent=2))
        return "; ".join(
            f"{card['name']}, {card['compute_capability']}, {shown(card['memory_total'])}"
            for card in self._facts["cards"]
        )

    def facts(self) -> str:
        """Ask as the verifier does, and hold that against the tool's own document."""
        said = document()
        (self.logs / "nvidia-smi.xml").write_text(said)
        found = asked(self._serving.made.config / "bin/gpu")
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
        return f"total {first.memory_total} and free {first.memory_free} agree; {shown(_HELD)} held as {shown(memory)}"

    def metrics(self) -> str:
        """Show them as on a host with monitoring, idle and held, and hold that against the tool's own document."""
        program, hidden = self._serving.made.config / "bin/gpu", {str(self._work): "/home/check"}
        said = []
        for case, holder in (("idle", contextlib.nullcontext()), ("held", self._holding())):
            with holder:
                page = recorded_page(program, self.recordings / case, hidden)
                found = document()
            (self.logs / f"metrics-{case}.prom").write_text(page)
            if wrong := differing(page, found):
                raise StepError("; ".join(wrong), page)
            said.append(f"{case}: {len(page.splitlines())} lines")
        return f"they agree; {', '.join(said)}"

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

    # Without one ----------------------------------------------------------------------------------------------------

    def no_cards(self) -> str:
        """What follows is planned for the processor."""
        self._serving.made = deployed(self._work / "home", None)
        return _skip_without_card()

    def verifier_without_card(self) -> str:
        """What is planned for a card does not pass here."""
        planned = deployed(self._work / "home-with-card", _ARCHITECTURE)
        unit = planned.unit("native").name
        verdicts = checked(planned.config, unit, os.getpid(), self._work / "proc")
        driver = must_say(verdicts, DRIVER, wanted=False)
        return f"the driver's check fails: {driver}; {must_say(verdicts, f'unit/{unit}/gpu-memory', wanted=None)}"

    # What computes on it ----------------------------------------------------------------------------------------

    def native(self) -> str:
        before = self._free()
        server = self._serving.start("native", "card")
        took = server.wait("/health")
        answer = self._serving.ask(server, "GPU")
        now = self._record("llama_server")
        memory, size = _memory_of(now, server.pid), self._serving.made.model.stat().st_size
        if memory < size:
            raise StepError(f"it holds {memory} bytes of the card, fewer than the {size} of its model", server.said())
        layers = layers_on_cards(server.said())
        if layers and layers[0] != layers[1]:
            raise StepError(f"{layers[0]} of {layers[1]} layers are on the card", server.said())
        placed = f"{layers[0]} of {layers[1]} layers" if layers else "its log says nothing of layers"
        return (
            f"ready after {took:.1f} s, {placed}, {shown(memory)} held ({shown(before - self._free())} fewer free), "
            f"{speed(answer)}"
        )

    def native_on_processor(self) -> str:
        server = self._serving.start("native", "processor")
        took = server.wait("/health")
        said = f"ready after {took:.1f} s, {speed(self._serving.ask(server, 'processor'))}"
        self.stop()
        return said

    def memory_plan(self) -> str:
        """With several contexts and types of cache, each a start of its own."""

        def measure(its: Settings) -> Measured:
            log = f"memory-{its.context}-{its.key_type}"
            server = self._serving.start("native", log, *memory_plan.arguments(its))
            server.wait("/health")
            found = asked(self._serving.made.config / "bin/gpu") if self.has_card else None
            self.stop()
            return Measured(server.said(), _memory_of(found, server.pid) if found else None)

        return memory_plan.compare(self._serving.made.model, measure)

    def verifier_on_native(self) -> str:
        verdicts = checked(
            self._serving.made.config, self._unit("native"), self._serving.running.pid, self._work / "proc"
        )
        driver = must_say(verdicts, DRIVER, wanted=True)
        return f"{must_say(verdicts, self._check('native'), wanted=True)}; {driver}"

    def given_back(self) -> str:
        took = self._serving.stop()
        return f"stopped in {took:.1f} s; {self.wait()}"

    def python_server(self) -> str:
        said = self._serving.python("card")
        seen = self._verified("python", self._serving.running.pid, wanted=True)
        self.stop()
        return f"{said}; the verifier: {seen}"

    def python_on_processor(self) -> str:
        said = self._serving.python("processor")
        self.stop()
        return said

    def without_device(self) -> str:
        return self._on_processor("--device", "none")

    def without_layers(self) -> str:
        return self._on_processor("--n-gpu-layers", "0")

    def _on_processor(self, *options: str) -> str:
        """A server that answers as it should, and from the processor: that is what the verifier is there to see."""
        server = self._serving.start(
            "native", "-".join(option.strip("-") for option in options), *options, checked=False
        )
        server.wait("/health")
        answer = self._serving.ask(server, "processor")
        held = _memory_of(asked(self._serving.made.config / "bin/gpu"), server.pid)
        seen = self._verified("native", server.pid, wanted=False)
        self.stop()
        on_card = self._serving.speeds.get("GPU")
        faster = f", {on_card.speed / answer.speed:.1f} times slower" if on_card else ""
        return f"{speed(answer)}{faster}, {shown(held)} of the card held; the verifier: {seen}"

    # Parts of steps ---------------------------------------------------------------------------------------------

    def _holding(self) -> contextlib.AbstractContextManager[Holder]:
        return holding(_HELD, {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})

    def _record(self, case: str) -> Facts:
        hidden = {str(self._work): "/home/check"}
        found = recorded(self._serving.made.config / "bin/gpu", self.recordings / case, hidden)
        (self.logs / f"facts-{case}.json").write_text(json.dumps(found, indent=2) + "\n")
        return found

    def _gpu(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The generation's program, run as a unit runs it."""
        command = [PYTHON, "-I", "-S", str(self._serving.made.config / "bin/gpu"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)

    def _free(self) -> int:
        return sum(card["memory_free"] or 0 for card in asked(self._serving.made.config / "bin/gpu")["cards"])

    def _unit(self, provider: str) -> str:
        return self._serving.made.unit(provider).name

    def _check(self, provider: str) -> str:
        return f"unit/{self._unit(provider)}/gpu-memory"

    def _verified(self, provider: str, pid: int, *, wanted: bool) -> str:
        verdicts = checked(self._serving.made.config, self._unit(provider), pid, self._work / "proc")
        return must_say(verdicts, self._check(provider), wanted)


_NOTHING: Facts = {
    "vendor": None,
    "driver": {"kernel": None, "library": None, "cuda": None, "agree": True},
    "cards": [],
    "problem": None,
}


def _skip_without_card() -> str:
    raise SkipStep(_NO_CARD)


def _memory_of(found: Facts, pid: int) -> int:
    """Bytes of all cards that the driver says a process holds."""
    return sum(each["memory"] or 0 for card in found["cards"] for each in card["processes"] if each["pid"] == pid)


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
    if not holds(rows):
        return 1
    if check.has_card:
        return 0
    skipped = sum(row.outcome is Outcome.SKIPPED and row.said == _NO_CARD for row in rows)
    print(f"{_NO_CARD}: {skipped} steps need one and were skipped. This says nothing about a card.", flush=True)
    return _NO_CARD_STATUS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
