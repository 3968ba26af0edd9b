"""List the generations that each host keeps: when, whose, what changed, how it verified. Changes nothing."""

from roles.deploy import history

history()
