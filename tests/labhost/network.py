"""The lab's network: a bridge, and for each host a network namespace at the end of a veth pair.

The kernel is the only book-keeper. An address is taken when a link named after it exists; the last host is
down when no such link is left, and then the bridge, the nft table and the change to ``ip_forward`` go too.
Namespaces are made inside the mount namespace of a host's supervisor, so they, and the links in them, die
with it.

All addresses come from 198.18.0.0/15, which RFC 2544 sets aside for tests. A lab uses 198.18.0.0/24; a lab
inside a lab host, which has an address of that already, takes the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.labhost.errors import LabError
from tests.labhost.paths import locked, write_atomically
from tests.labhost.programs import run_program

BRIDGE = "labbr0"
# Set by hand: a bridge else takes the lowest address of its ports, and changes it as hosts come and go.
BRIDGE_MAC = "02:a1:b0:00:00:01"
TABLE = "ai_backend_lab"
MIRROR_PORT = 8900
FIRST_HOST, LAST_HOST = 10, 254

_LOCK = Path("/run/ai-backend-lab.lock")
_FORMER_IP_FORWARD = Path("/run/ai-backend-lab.ip_forward")
_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_HOST_LINK = re.compile(r"^lab(\d+)$")
_RULES = """\
table ip {table} {{
    set offline {{ type ipv4_addr; }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ip saddr @offline ip daddr != {subnet} drop
        ip daddr @offline ip saddr != {subnet} drop
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} ip daddr != {subnet} masquerade
    }}
}}
"""


@dataclass(frozen=True)
class Subnet:
    """A /24 of the lab: ``198.18.<third>.0/24``."""

    third: int

    @property
    def cidr(self) -> str:
        return f"198.18.{self.third}.0/24"

    @property
    def gateway(self) -> str:
        """The bridge's own address: the hosts' way out, and where the file mirror listens."""
        return self.address(1)

    def address(self, last: int) -> str:
        return f"198.18.{self.third}.{last}"


@dataclass(frozen=True)
class Link:
    """How one host hangs on the bridge."""

    subnet: Subnet
    number: int
    namespace: str

    @property
    def device(self) -> str:
        """The machine's end of the veth pair."""
        return f"lab{self.number}"

    @property
    def address(self) -> str:
        return self.subnet.address(self.number)

    @property
    def mac(self) -> str:
        """One and the same for each address: else who spoke to an earlier host there would look for its card."""
        return f"02:a1:b0:00:{self.subnet.third:02x}:{self.number:02x}"


@contextmanager
def network_lock() -> Iterator[None]:
    """Guards the bridge and the choice of addresses, for every lab folder of this machine."""
    with locked(_LOCK):
        yield


def lab_subnet() -> Subnet:
    """The first subnet that no interface but the lab's own bridge has an address in."""
    taken: set[str] = set()
    for interface in json.loads(run_program("ip", "-json", "-4", "address", "show")):
        if interface.get("ifname") != BRIDGE:
            taken.update(address["local"].rpartition(".")[0] for address in interface.get("addr_info", ()))
    for third in range(256):
        if f"198.18.{third}" not in taken:
            return Subnet(third)
    raise LabError("every 198.18.*.0/24 is in use on this machine; the lab has no addresses left")


def host_links() -> set[int]:
    """The numbers of the links that exist now, one a host."""
    return {int(found[1]) for link in Path("/sys/class/net").iterdir() if (found := _HOST_LINK.match(link.name))}


def attach(namespace: str) -> Link:
    """Make a network namespace with an address of its own and hang it on the bridge.

    Called by a supervisor inside its own mount namespace.
    """
    link = None
    try:
        with network_lock():
            link = _free_link(namespace)
            _ensure_bridge(link.subnet)
            run_program("ip", "netns", "add", namespace)
            peer = ("peer", "host0", "netns", namespace, "address", link.mac)
            run_program("ip", "link", "add", link.device, "type", "veth", *peer)
            run_program("ip", "link", "set", link.device, "master", BRIDGE, "up")
        inside = ("ip", "-netns", namespace)
        run_program(*inside, "address", "add", f"{link.address}/24", "dev", "host0")
        run_program(*inside, "link", "set", "lo", "up")
        run_program(*inside, "link", "set", "host0", "up")
        run_program(*inside, "route", "add", "default", "via", link.subnet.gateway)
    except BaseException:
        if link is not None:
            detach(link)
        raise
    return link


def detach(link: Link) -> None:
    """Remove what `attach` made, and after the last host the bridge and its rules. Never fails half-way."""
    with network_lock():
        _remove_device(link.device)
        if Path("/run/netns", link.namespace).exists():
            run_program("ip", "netns", "delete", link.namespace)
        if Path("/sys/class/net", BRIDGE).exists():
            set_offline(link, False)  # the next host with this address is not to find itself cut off
        _remove_bridge_when_unused()


def set_offline(link: Link, offline: bool) -> None:
    """Cut a host off from the outside, or connect it again. The lab's own addresses stay in reach."""
    run_program("nft", "add", "element", "ip", TABLE, "offline", f"{{ {link.address} }}")
    if not offline:
        run_program("nft", "delete", "element", "ip", TABLE, "offline", f"{{ {link.address} }}")


def set_link_up(link: Link, up: bool) -> None:
    """Plug the cable in or out."""
    run_program("ip", "link", "set", link.device, "up" if up else "down")


def detour(link: Link, tap: str) -> None:
    """Put ``tap`` on the bridge in the host's place, for a program that carries frames between the two."""
    # The device is no port for now, but still the machine's: it must not answer ARP in the bridge's place.
    run_program("ip", "link", "set", link.device, "nomaster", "arp", "off")
    run_program("ip", "link", "set", tap, "master", BRIDGE, "up")


def end_detour(link: Link) -> None:
    run_program("ip", "link", "set", link.device, "arp", "on", "master", BRIDGE)


def _remove_bridge_when_unused() -> None:
    """After the last host: no bridge, no rules, ``ip_forward`` as it was. The caller holds `network_lock`."""
    if host_links():
        return
    _remove_device(BRIDGE)
    _remove_table()
    if _FORMER_IP_FORWARD.exists():
        _IP_FORWARD.write_text(_FORMER_IP_FORWARD.read_text())
        _FORMER_IP_FORWARD.unlink()


def _remove_device(device: str) -> None:
    """Remove a network device, if it is there.

    A host's end goes by itself when the last process of its namespace has ended: it can be gone between a look and
    the removal.
    """
    try:
        run_program("ip", "link", "delete", device)
    except LabError:
        if Path("/sys/class/net", device).exists():
            raise


def _free_link(namespace: str) -> Link:
    subnet = lab_subnet()
    taken = host_links()
    for number in range(FIRST_HOST, LAST_HOST + 1):
        if number not in taken:
            return Link(subnet, number, namespace)
    raise LabError(f"all lab addresses of {subnet.cidr} are taken: `down` a host first")


def _ensure_bridge(subnet: Subnet) -> None:
    """The bridge is made last: where it is, all else is."""
    if Path("/sys/class/net", BRIDGE).exists():
        return
    _remove_table()
    run_program("nft", "-f", "-", stdin=_RULES.format(table=TABLE, subnet=subnet.cidr))
    write_atomically(_FORMER_IP_FORWARD, _IP_FORWARD.read_text())
    _IP_FORWARD.write_text("1\n")
    run_program("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge")
    run_program("ip", "address", "add", f"{subnet.gateway}/24", "dev", BRIDGE)
    run_program("ip", "link", "set", BRIDGE, "up")


def _remove_table() -> None:
    """Adding first makes it no error when there is none."""
    run_program("nft", f"add table ip {TABLE}; delete table ip {TABLE}")
