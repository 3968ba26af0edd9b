"""A toy service from outside of `roles/`, a page of status over HTTP: a folder and one line are enough for one."""

from pathlib import Path

from roles.plan import register
from tests.toy_service.options import Look, StatusPage
from tests.toy_service.plan import plan_status_page

ROOM = register("toy_service", {StatusPage: plan_status_page}, Path(__file__).parent / "templates")

__all__ = ["ROOM", "Look", "StatusPage"]
