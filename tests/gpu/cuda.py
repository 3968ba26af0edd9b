"""CUDA's own account of the cards, by the driver's library alone: `python -m tests.gpu.cuda BYTES`.

Takes that many bytes of the first card that it sees, prints what CUDA says as JSON, and holds them until its standard
input ends. No toolkit is needed: a machine without one can still be asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.gpu.steps import StepError

_LONGEST_START = 60.0
"""Seconds. A first context takes some without a persistence daemon."""
_MAJOR, _MINOR = 75, 76
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…` of cuda.h."""


@dataclass(frozen=True)
class Device:
    """A card as CUDA counts it; `memory_free` is what is left beside the process that asked."""

    uuid: str
    name: str
    compute_capability: str
    memory_total: int
    memory_free: int


@dataclass(frozen=True)
class Holder:
    """A process that holds memory of a card."""

    pid: int
    size: int
    devices: tuple[Device, ...]


@contextlib.contextmanager
def holding(size: int, environment: Mapping[str, str]) -> Iterator[Holder]:
    """Hold so many bytes of the first visible card while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gpu.cuda", str(size)],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        there, _, _ = select.select([process.stdout], [], [], _LONGEST_START)
        line = process.stdout.readline() if there else ""
        if not line:
            process.kill()
            _, errors = process.communicate()
            raise StepError("CUDA's driver library cannot be used", errors or "it gave no answer")
        yield Holder(process.pid, size, tuple(Device(**device) for device in json.loads(line)))
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Driver:
    """`libcuda`, each call checked."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            said = ctypes.c_char_p()
            self._library.cuGetErrorString(status, ctypes.byref(said))
            raise SystemExit(f"{name} gives {status}: {(said.value or b'unknown').decode()}")

    def number(self, name: str, *arguments: Any) -> int:
        number = ctypes.c_int()
        self.call(name, ctypes.byref(number), *arguments)
        return number.value

    def take(self, size: int) -> None:
        """Memory of the first card."""
        self._enter(0)
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))

    def device(self, ordinal: int) -> dict[str, Any]:
        device = self._enter(ordinal)
        name, identity = ctypes.create_string_buffer(256), (ctypes.c_ubyte * 16)()
        self.call("cuDeviceGetName", name, 256, device)
        self.call("cuDeviceGetUuid_v2", ctypes.byref(identity), device)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        capability = [self.number("cuDeviceGetAttribute", which, device) for which in (_MAJOR, _MINOR)]
        return {
            "uuid": f"GPU-{uuid.UUID(bytes=bytes(identity))}",
            "name": name.value.decode(),
            "compute_capability": "{}.{}".format(*capability),
            "memory_total": total.value,
            "memory_free": free.value,
        }

    def _enter(self, ordinal: int) -> int:
        """Make the card's primary context, CUDA's own way, the one that calls refer to."""
        device = self.number("cuDeviceGet", ordinal)
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        return device


def main() -> None:
    driver = _Driver()
    driver.take(int(sys.argv[1]))
    print(json.dumps([driver.device(ordinal) for ordinal in range(driver.number("cuDeviceGetCount"))]), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
