"""Numbers of bytes and seconds for people."""

from __future__ import annotations


def size(number: float) -> str:
    """Bytes in the unit that fits, e.g. `412 MB` or `23.5 GB`."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def ago(seconds: float) -> str:
    """A length of time in the unit that fits, e.g. `34 s` or `5 h`."""
    for length, unit in ((172_800, "d"), (7200, "h"), (120, "min")):
        if seconds >= length:
            return f"{seconds / {'d': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{seconds:.0f} s"
