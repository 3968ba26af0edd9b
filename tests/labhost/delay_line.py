"""A slow link, as a program: ``python -m tests.labhost.delay_line DEVICE TAP MILLISECONDS``.

`tc netem` would do, but it is a kernel option that small kernels leave out. So this program sits between
the host's veth device and the bridge: what leaves the host goes on at once, what is on its way to the host
waits. The delay is in one direction only, so it adds exactly itself to each round trip.

Frames are carried with their virtio-net header, which says what the sender left to its network card
(checksums, the cutting of large segments); without it, most frames between two local interfaces would
arrive with wrong checksums.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable

_TUNSETIFF = 0x400454CA
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_ETH_P_ALL = 0x0003
_LARGEST_FRAME = 1 << 17
_VIRTIO_HEADER = 10


def open_tap(name: str) -> int:
    """Make a tap device that lives as long as this process; return its descriptor."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
    fcntl.ioctl(tap, _TUNSETVNETHDRSZ, struct.pack("i", _VIRTIO_HEADER))
    return tap


def open_device(name: str) -> socket.socket:
    """A raw socket that sees what the host sends through ``name``, and not what is sent to it."""
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    device.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    device.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    device.bind((name, _ETH_P_ALL))
    device.setblocking(False)
    return device


def carry(device: socket.socket, tap: int, delay: float) -> None:
    """Carry frames both ways until killed: from ``device`` at once, from ``tap`` after ``delay`` seconds."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([device.fileno(), tap], [], [], patience)
        if device.fileno() in readable:
            _forward(device.recv(_LARGEST_FRAME), lambda frame: os.write(tap, frame))
        if tap in readable:
            waiting.append((time.monotonic() + delay, os.read(tap, _LARGEST_FRAME)))
        while waiting and waiting[0][0] <= time.monotonic():
            _forward(waiting.popleft()[1], device.send)


def _forward(frame: bytes, send: Callable[[bytes], int]) -> None:
    """Send a frame, or lose it as a real link does when its other end is down or busy."""
    with contextlib.suppress(OSError):
        send(frame)


def main(device: str, tap: str, milliseconds: str) -> None:
    ends = open_device(device), open_tap(tap)
    print("ready", flush=True)
    carry(*ends, float(milliseconds) / 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
