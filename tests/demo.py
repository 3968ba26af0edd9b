"""`make demo`: a throwaway host, the lab stack on it, and what to do with it."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.labhost import Lab, LabError, LabHost
from tests.labhost.paths import REPOSITORY

NAME = "demo"


def main() -> int:
    started = time.monotonic()
    lab = Lab()
    try:
        host = _host(lab)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    command = [str(REPOSITORY / ".venv/bin/pyinfra"), "-y", "inventory/lab.py", "deploys/full.py"]
    print(f"$ pyinfra {' '.join(command[1:])}", flush=True)
    if (status := subprocess.run(command, cwd=REPOSITORY, check=False).returncode) != 0:
        print("\nThe deploy failed, see above. The host is still there: run `make demo` again, or `make down`.")
        return status
    print(_farewell(host, time.monotonic() - started))
    return 0


def _host(lab: Lab) -> LabHost:
    for host in lab.list():
        if host.name == NAME:
            print(f"the host {NAME} is there already, at {host.address}", flush=True)
            return host
    print("making a Debian 12 host (the first time on a machine this builds a base image, some minutes)", flush=True)
    return lab.create(NAME)


def _farewell(host: LabHost, seconds: float) -> str:
    ssh = f"ssh -F {host.ssh_config} {host.name}"
    return f"""
Every check holds, after {seconds:.0f} s. The endpoint is http://{host.address}:4000/v1

  KEY=$({ssh} "cut -d'\\"' -f2 /var/lib/ai-backend/secrets/master-key.env")
  curl -s http://{host.address}:4000/v1/chat/completions -H "Authorization: Bearer $KEY" \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "tiny-native", "messages": [{{"role": "user", "content": "Who are you?"}}]}}'

  {ssh}            # look around: systemctl status 'litellm@*', /etc/ai-backend
  pyinfra -y inventory/lab.py deploys/verify.py    # verify it again, at any time
  make down                                        # throw the host away
"""


if __name__ == "__main__":
    sys.exit(main())
