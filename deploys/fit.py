"""Print what an inventory's servers take of cards and main memory: `python deploys/fit.py INVENTORY` needs no host."""

from roles.fit_inventory import fit

fit()
