"""The way out of a host: set once, for this program and all that it starts."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from roles.contract.outbound import CA_VARIABLES, NEVER_PROXIED, NO_PROXY_VARIABLES, PROXY_VARIABLES, WayOut
from roles.host.programs.console import keep_hidden
from roles.host.programs.files import make_folder, write_atomic

_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_SHORTEST = 4
"""Characters of what is kept out of messages: less is in any word."""
_BUNDLE = "authorities.pem"
"""In the cache: the host's own authorities and those of the inventory."""


def use_way_out(way: WayOut | None, cache: str) -> Path | None:
    """
    Returns:
        The file of the authorities to trust, if they are others than the host's own.
    """
    if way is None:
        return None
    if way.proxy:
        os.environ.update(dict.fromkeys(PROXY_VARIABLES, way.proxy))
        os.environ.update(dict.fromkeys(NO_PROXY_VARIABLES, ",".join((*NEVER_PROXIED, *way.no_proxy))))
        login, at, _ = urlsplit(way.proxy).netloc.rpartition("@")
        words = (login, unquote(login), login.partition(":")[2], unquote(login.partition(":")[2])) if at else ()
        keep_hidden(*(word for word in words if len(word) >= _SHORTEST))
    if way.ca is None:
        return None
    bundle = Path(cache, _BUNDLE)
    make_folder(bundle.parent)
    own = _SYSTEM_BUNDLE.read_bytes() if _SYSTEM_BUNDLE.exists() else b""
    write_atomic(bundle, own + way.ca.encode(), 0o644)
    os.environ.update(dict.fromkeys(CA_VARIABLES, str(bundle)))
    return bundle
