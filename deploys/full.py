"""Build or rebuild every host of the inventory, then prove it."""

from roles.deploy import full

full()
