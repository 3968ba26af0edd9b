"""Signs of what was installed: the generation's files, programs, environments and models."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import AGAIN, INSTALLS, KERNEL_DISK_LOG, Sign

_DISK = Cause("the disk returns something else than was written to it", KERNEL_DISK_LOG)

INSTALLED: Mapping[str, Sign] = {
    "edited": Sign(
        ("generation/files",),
        ("files-changed",),
        "the generation is not as it was written",
        (Cause(f"somebody changed, added or removed a file by hand: {AGAIN}", "ls -lact {config}/"), _DISK),
    ),
    "install": Sign(
        ("install/*",),
        ("install-missing", "install-damaged"),
        "a program or an environment is not what was installed",
        (Cause(f"somebody changed, added or removed a file: {AGAIN}", INSTALLS), _DISK),
    ),
    "model": Sign(
        ("model/*",),
        ("model-missing", "model-changed"),
        "a model's files are not those that were installed",
        (
            Cause(
                "somebody changed or removed a file: remove the folder that it lies in, and run deploys/full.py",
                INSTALLS,
            ),
            _DISK,
        ),
    ),
}
