"""Say what a deploy would do, or what is in its way. Changes nothing."""

from roles.deploy import preflight

preflight()
