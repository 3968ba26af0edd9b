"""Starts the verifier: `python -I -S -B …/roles/verify/start.py --config FOLDER`.

With these options Python takes nothing from the working folder, the caller's environment or a home. It reads no `.pth`
and no `sitecustomize`: they run as code, here as root. Only its standard library, the packages of its own environment,
and the sources beside this file are imported.
"""

import sys
from pathlib import Path


def main() -> int:
    # The resolved path: a deploy may switch the links while this runs.
    sources = Path(__file__).resolve().parents[2]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sys.executable).parent.resolve().parent / "lib" / version / "site-packages"
    if not packages.is_dir():
        print(
            f"verify: there is no {packages}: the host's Python is not the one that it was deployed with; "
            "run deploys/full.py",
            file=sys.stderr,
        )
        return 2
    sys.path += [str(sources), str(packages)]
    from roles.verify.__main__ import main as verify

    return verify()


if __name__ == "__main__":
    sys.exit(main())
