"""Names that no list and no archive may give a file."""

from __future__ import annotations

NAMES = {
    "absolute": "/etc/cron.d/planted.txt",
    "absolute, two slashes": "//etc/cron.d/planted.txt",
    "up": "../planted.txt",
    "far up": "../../../../../../../../etc/cron.d/planted.txt",
    "down and up": "a/../../planted.txt",
    "up at the end": "a/..",
    "the folder itself": "a/.",
    "a dot inside": "a/./planted.txt",
    "an empty part": "a//planted.txt",
    "a slash at the end": "planted.txt/",
    "a line feed": "plan\nted.txt",
    "a NUL": "/etc/passwd\0planted.txt",
    "a NUL inside": "plan\0ted.txt",
    "an escape sequence": "\x1b]0;planted\x07.txt",
    "a delete": "planted\x7f.txt",
    "a C1 control": "planted\x9b.txt",
    "backslashes": "..\\..\\planted.txt",
    "turned writing": "planted\u202etxt.exe",
    "an invisible letter": "plan\u200bted.txt",
    "a line separator": "plan\u2028ted.txt",
    "no Unicode": "planted\udcff.txt",
    "a long part": "p" * 256,
    "a long part in UTF-8": "ä" * 128,
    "a long path": "/".join(["p" * 200] * 30),
    "a deep path": "/".join("p" * 1500),
    "the mark of an install": ".install.json",
    "below the mark": ".install.json/planted.txt",
    "the record of a revision": ".revision.json",
}
"""What is wrong with it → the name."""

COLLISIONS = {
    "twice": ("planted.txt", "planted.txt"),
    "by case": ("planted.txt", "Planted.txt"),
    "by the case of a folder": ("a/one.txt", "A/two.txt"),
    "by another spelling in Unicode": ("n\u00e9.txt", "ne\u0301.txt"),
    "by sharp s and ss": ("straße.txt", "STRASSE.txt"),
    "a folder that is a file": ("a", "a/planted.txt"),
    "a file that is a folder": ("a/planted.txt", "a"),
}
"""How two names collide → the two."""
