"""Free the space of installs and models that are no longer used. Nothing else ever removes them."""

from roles.deploy import prune

prune()
