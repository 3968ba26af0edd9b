"""Requests for the programs that prepare a host and make installs; also used without a deploy."""

from __future__ import annotations

from collections.abc import Sequence

from roles.contract.models import is_hidden
from roles.contract.outbound import WayOut
from roles.contract.requests import MakeInstall, ModelsFolder, PrepareSystem, UvTool
from roles.host.state import BUILD_USER
from roles.plan import Layout, OutboundPlan, ProxyLogin, ResolvedInstall


def system_request(
    layout: Layout,
    packages: Sequence[str],
    keep_off: Sequence[str] = (),
    *,
    users: Sequence[str] = (),
    linger: bool = False,
    outbound: OutboundPlan | None = None,
) -> PrepareSystem:
    """For the program `system`.

    Args:
        packages: the missing ones.
        keep_off: units that come with them and must not start.
        users: missing system users that units run as.
        linger: enable lingering for the user.
        outbound: how packages are reached.
    """
    return PrepareSystem(
        state=layout.state,
        packages=tuple(packages),
        keep_off=tuple(keep_off),
        build_user=_builder(layout),
        users=tuple(users),
        cache=layout.cache,
        folders=((layout.installs, 0o755), (layout.state, 0o755), (layout.cache, 0o755)),
        lingering=linger,
        models_folder=models_folder(layout),
        way_out=way_out_of(outbound),
    )


def models_folder(layout: Layout) -> ModelsFolder | None:
    """The folder of the models, if it is elsewhere."""
    if layout.models_folder is None:
        return None
    shown = layout.scope == "user" or is_hidden(layout.models_folder)
    return ModelsFolder(path=layout.models_folder, link=layout.models, shown=shown)


def install_request(
    layout: Layout, resolved: ResolvedInstall, uv: UvTool, outbound: OutboundPlan | None = None
) -> MakeInstall:
    """For the program `installers.install`."""
    install = resolved.install
    return MakeInstall(
        state=layout.state,
        title=install.title,
        folder=resolved.folder,
        recipe=resolved.recipe,
        token=install.token.reveal() if install.token else None,
        cache=layout.cache,
        build_user=_builder(layout),
        uv=uv,
        copies=install.copies,
        way_out=way_out_of(outbound),
    )


def way_out_of(outbound: OutboundPlan | None) -> WayOut | None:
    """The same for a host program, with the proxy's login."""
    if outbound is None:
        return None
    proxy = outbound.proxy
    return WayOut(
        proxy=proxy.address() if isinstance(proxy, ProxyLogin) else proxy, no_proxy=outbound.no_proxy, ca=outbound.ca
    )


def _builder(layout: Layout) -> str | None:
    return BUILD_USER if layout.scope == "system" else None
