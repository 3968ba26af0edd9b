"""A generation's `bin/gpu`: `python -I -S …/bin/gpu facts`. The package that it starts lies in `lib/` beside `bin/`."""

import sys
from pathlib import Path


def main() -> int:
    # The resolved path: a deploy may switch the link to the generation while this runs.
    sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
    # A generation has the files of its plan and no others.
    sys.dont_write_bytecode = True
    from roles.host.programs.gpu.command import main as command

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
