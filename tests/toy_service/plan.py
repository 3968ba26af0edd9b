"""The page's part of a host plan: Python's own web server over one file of the generation."""

from __future__ import annotations

from roles.contract.manifest import PLAIN
from roles.plan import BesideContext, Endpoint, ServerUnit, ServicePlan, render, unit_file
from tests.toy_service.options import StatusPage


def plan_status_page(page: StatusPage, context: BesideContext) -> ServicePlan:
    """`toy@<name>.service`."""
    layout = context.layout
    name, folder = f"toy@{page.name}.service", f"toy/{page.name}"
    index = f"{folder}/index.html"
    unit = ServerUnit(
        name=name,
        text=unit_file(
            "toy_service/toy.service.j2",
            layout=layout,
            unit=name,
            service=page,
            command=[
                *("/usr/bin/python3", "-I", "-S", "-u", "-m", "http.server", str(page.port)),
                *("--bind", page.bind, "--directory", f"{layout.config}/{folder}"),
            ],
            environment={},
            memory_max=page.memory_max,
            loopback_only=page.is_local,
        ),
        reads=(index,),
        start_timeout=page.start_timeout,
        endpoint=Endpoint(page.bind, page.port, f"http://{page.reachable_at}:{page.port}/"),
    )
    return ServicePlan(
        units=(unit,),
        files={index: render("toy_service/index.html.j2", page=page, servers=context.servers)},
        kind="status-page",
        traits=PLAIN,
    )
