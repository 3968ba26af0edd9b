"""A pyinfra inventory: the lab's, but for one option.

`LAB_HOST` names the lab host; `BENCH_CONTEXT_SIZE` is the context size of its native server.
"""

import os
import runpy

from tests.labhost.paths import REPOSITORY

_lab = runpy.run_path(str(REPOSITORY / "inventory/lab.py"))

hosts = [_lab["lab_host"](_lab["lab_stack"](native={"context_size": int(os.environ["BENCH_CONTEXT_SIZE"])}))]
