"""Free the space of installs and models that are used no more. Nothing else ever removes them."""

from roles.deploy import prune

prune()
