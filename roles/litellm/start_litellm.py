"""Starts LiteLLM: `python -I -B -u -X faulthandler start-litellm FOLDER OPTIONS…`, as its own command `litellm` does.
The folder has the modules that its configuration names.

Before Python 3.12 the garbage collector runs wherever an object is made, also in the middle of `ContextVar.set`. A
finalizer that sets context variables there frees what is being read, and the process ends with SIGSEGV
(python/cpython#148891). LiteLLM sets dozens of them for each request and leaves clients of aiohttp to the collector,
whose finalizers log: seen on Debian 12 (Python 3.11) within a minute of a start. So the collector runs here as it does
from 3.12 on: between two instructions of the main thread.
"""

import atexit
import gc
import os
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path

AUTHORITIES_VARIABLE = "AI_BACKEND_AUTHORITIES"
"""Names a file with further authorities to trust."""
PERIOD = 0.1
"""Seconds between two looks at whether there is anything to collect."""


class Collector:
    """Python's own generations and thresholds; a timer's signal, whose handler runs between two instructions."""

    def __init__(self) -> None:
        self._period = PERIOD
        self._old = 0
        """Objects in the oldest generation when it was last collected."""
        self._postponed = 0
        """Collections of the generation before at which the oldest was last found too little grown."""

    def start(self, period: float = PERIOD) -> None:
        self._period = period
        gc.disable()
        signal.signal(signal.SIGALRM, self._on_time)
        # System calls of C libraries, which may not know of signals, go on.
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, period)
        # While Python ends it takes its handlers back, and the next signal would end it first.
        atexit.register(signal.signal, signal.SIGALRM, signal.SIG_IGN)

    def _on_time(self, _number: int, _frame: object) -> None:
        self._collect()
        # Only now: a signal that comes while this runs is handled inside it, and the next inside that.
        signal.setitimer(signal.ITIMER_REAL, self._period)

    def _collect(self) -> None:
        counts, thresholds = gc.get_count(), gc.get_threshold()
        due = [count > threshold > 0 for count, threshold in zip(counts, thresholds, strict=True)]
        if not due[0]:
            return
        if due[2] and counts[2] > self._postponed + thresholds[2]:
            # The rule of `long_lived_pending` in CPython's gcmodule.c: else the cost grows with the square of the heap.
            if len(gc.get_objects(generation=2)) > 1.25 * self._old:
                gc.collect(2)
                if gc.get_freeze_count() == 0:
                    # What LiteLLM has loaded, some 700,000 objects, stays: it is not looked through again, or even
                    # counted, which takes a tenth of a second of all requests under way.
                    gc.freeze()
                self._old, self._postponed = len(gc.get_objects(generation=2)), 0
                return
            self._postponed = counts[2]
        gc.collect(1 if due[1] else 0)


def trust(authorities: str) -> str:
    """The path of a file with the authorities that LiteLLM trusts anyway and those of another file: it takes one file
    for everything. Most of its clients look at no setting of a deployment."""
    # The plan reads this module too, where there is no LiteLLM.
    import certifi

    bundle = os.memfd_create("authorities")
    for file in (certifi.where(), authorities):
        os.write(bundle, Path(file).read_bytes() + b"\n")
    return f"/proc/self/fd/{bundle}"


def main() -> int:
    if authorities := os.environ.get(AUTHORITIES_VARIABLE):
        os.environ["SSL_CERT_FILE"] = trust(authorities)
    if sys.version_info < (3, 12):
        Collector().start()
    (command,) = entry_points(group="console_scripts", name="litellm")
    sys.path.append(sys.argv[1])
    sys.argv[:2] = ["litellm"]
    return int(command.load()() or 0)


if __name__ == "__main__":
    sys.exit(main())
