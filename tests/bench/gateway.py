"""A pyinfra inventory: the small lab stack with the gateway as it is shipped, and a native server of many places.

`LAB_HOST` names the lab host.
"""

from tests.lab.inventory import lab_host, lab_stack

PLACES = 16
"""Requests that the native server answers at once: as many as the bench asks."""

hosts = [lab_host(lab_stack(native={"parallel": PLACES, "context_size": PLACES * 256}, gateway={"instances": 2}))]
