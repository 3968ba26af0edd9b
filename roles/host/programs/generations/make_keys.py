"""Making clients' keys: each is printed once, and only its digest stays on the host."""

from __future__ import annotations

import secrets
from pathlib import Path

from roles.contract.clients import MakeKeys
from roles.contract.environment_file import environment_text
from roles.contract.holders import clients_of, digest_variable, key_digest
from roles.host.programs.console import HostError, say
from roles.host.programs.files import make_folder, write_atomic
from roles.host.programs.generations.client_keys import live_of
from roles.host.programs.generations.front import Keys
from roles.host.programs.systemd import Manager

_BYTES = 32


def main(request: MakeKeys) -> None:
    """Make the missing keys, and the one to rotate.

    Raises:
        HostError: the client to rotate has no key that is made here, or HAProxy refuses a new one.
    """
    live = live_of(request.config)
    if live is None or live.made_digests is None:
        raise HostError(f"{request.config} knows of no clients: run deploys/full.py first")
    keys = Keys(Manager(request.scope).runtime, live)
    declared = clients_of(keys.variables)
    files = {name: Path(live.made_digests, f"{name}.env") for name in declared}
    rotate = request.rotate
    if rotate is not None and rotate not in declared:
        raise HostError(f'no client "{rotate}" is deployed here (there are: {", ".join(declared) or "none"})')
    if rotate is not None and str(files[rotate]) not in live.key_files:
        raise HostError(f'the inventory gives the key of "{rotate}": change it there, then run deploys/full.py')
    for name in dict.fromkeys([*keys.without_key, *([rotate] if rotate else [])]):
        say(f"{name}: {_make(name, files[name], keys)}")
        say(f"{name}: this key is shown only now")


def _make(name: str, file: Path, keys: Keys) -> str:
    """A new key, which is valid when this returns, and whose digest is kept."""
    key = f"sk-{secrets.token_urlsafe(_BYTES)}"
    digest = key_digest(key)
    # HAProxy first: if it refuses, the former key stays the right one.
    keys.let_in_for(name, digest)
    make_folder(file.parent, 0o700)
    write_atomic(file, environment_text({digest_variable(name): digest}).encode(), 0o600)
    keys.let_in_no_other_for(name, digest)
    return key
