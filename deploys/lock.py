"""Write the inventory's lock: the exact identity and size of all that it refers to. Needs the network, and no host:
`python deploys/lock.py INVENTORY`, and `--data upgrade=NAME` to move what is locked."""

from roles.lock_inventory import lock

lock()
