"""One key and one OpenSSH client configuration for all hosts of a lab, so that ``ssh -F ssh_config NAME`` works."""

from __future__ import annotations

from tests.labhost.paths import LabFolders, write_atomically
from tests.labhost.programs import run_program
from tests.labhost.spec import Live

_BLOCK = """\
Host {name}
    HostName {address}
    User root
    IdentityFile {key}
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR

"""


def ensure_key(folders: LabFolders) -> None:
    """Make the lab's key when there is none. The caller holds the lab's lock."""
    if not folders.ssh_key.exists():
        run_program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ai-backend-lab", "-f", str(folders.ssh_key))


def write_ssh_config(folders: LabFolders) -> None:
    """Write one block for each host that has an address. The caller holds the lab's lock."""
    blocks = []
    for path in sorted(folders.hosts.iterdir()):
        live = Live.load(folders.host(path.name))
        if live is not None:
            blocks.append(_BLOCK.format(name=path.name, address=live.link.address, key=folders.ssh_key))
    write_atomically(folders.ssh_config, "".join(blocks))
