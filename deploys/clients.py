"""List the clients of each host, and make missing keys: each is shown once. `--data rotate=NAME` makes a new one."""

from roles.deploy import clients

clients()
