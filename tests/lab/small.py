"""The inventory of a lab host with the small stack. `LAB_HOST` names the host."""

from tests.lab.inventory import lab_host, lab_stack

hosts = [lab_host(lab_stack())]
