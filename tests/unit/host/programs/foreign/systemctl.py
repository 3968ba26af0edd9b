"""A stand-in for `systemctl`, for tests on temporary folders: which units run is a file each in `$STAND_IN/active`.

What it is asked is appended to `$STAND_IN/log`; with `$STAND_IN/fail` in place, an action fails.
"""

import os
import sys
from pathlib import Path

HOME = Path(os.environ["STAND_IN"])


def shown(unit: str, names: list[str]) -> None:
    path = HOME / "active" / unit
    values = {"Id": unit, "ActiveState": "active" if path.exists() else "inactive", "UnitFileState": "enabled"}
    for name in names:
        print(f"{name}={values.get(name, '')}")


def main() -> None:
    arguments = [each for each in sys.argv[1:] if each not in ("--user", "--no-block")]
    command, *rest = arguments
    if command == "show":
        names = next(each for each in rest if each.startswith("--property=")).removeprefix("--property=").split(",")
        units = [each for each in rest if not each.startswith("--")]
        if names == ["UnitPath"]:
            print(os.environ["UNIT_PATH"])
        for number, unit in enumerate(units):
            print(end="\n" if number else "")
            shown(unit, names)
        return
    with (HOME / "log").open("a") as log:
        log.write(f"{' '.join(arguments)}\n")
    if (HOME / "fail").exists():
        sys.exit("no")
    for unit in rest:
        if command == "start":
            (HOME / "active" / unit).touch()
        elif command == "stop":
            (HOME / "active" / unit).unlink(missing_ok=True)


main()
