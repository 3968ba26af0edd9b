"""A pyinfra inventory: the small lab stack, but for one option.

`LAB_HOST` names the lab host; `BENCH_CONTEXT_SIZE` is the context size of its native server.
"""

import os

from tests.lab.inventory import lab_host, lab_stack

hosts = [lab_host(lab_stack(native={"context_size": int(os.environ["BENCH_CONTEXT_SIZE"])}))]
