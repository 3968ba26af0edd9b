"""An inventory of what most tests need: packages, builds and environments. `LAB_HOST` names the host."""

from roles.options import Stack
from roles.redis import Redis
from tests.lab.inventory import lab_host, lab_stack


def prepared_stack() -> Stack:
    """The small stack with Redis."""
    return lab_stack().model_copy(update={"cache": Redis()})


hosts = [lab_host(prepared_stack())]
