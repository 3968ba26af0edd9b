"""Build or rebuild every host of the inventory, then verify it."""

from roles.deploy import full

full()
