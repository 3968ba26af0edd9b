"""Servers that others run: a cloud's, one of another machine, or one of this host that is not ours to manage."""

from roles.external.cloud import Cloud
from roles.external.options import Existing, External
from roles.external.plan import plan_cloud, plan_external
from roles.plan import register

ROOM = register("external", {External: plan_external, Existing: plan_external, Cloud: plan_cloud})

__all__ = ["ROOM", "Cloud", "Existing", "External"]
