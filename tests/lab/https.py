"""A certificate on a lab host, and what clients of an endpoint with TLS get."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.labhost import LabHost

NAME = "ai.lab.example"
NOTICED_SECONDS = 30


def serial(certificate: str) -> str:
    done = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=certificate, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class Https:
    """A host's endpoint at a port, with the certificate and the key in a folder of a user's."""

    host: LabHost
    port: int = 443
    folder: str = "/etc/lab-tls"
    user: str = "root"

    @property
    def certificate(self) -> str:
        return f"{self.folder}/fullchain.pem"

    @property
    def key(self) -> str:
        return f"{self.folder}/privkey.pem"

    @property
    def tls(self) -> str:
        """The gateway's option, as an inventory has it."""
        return f"Tls(certificate='{self.certificate}', key='{self.key}', server_name='{NAME}', hsts=True)"

    def put(self, pair: tuple[Path, Path]) -> None:
        """As certbot does: links to new files take the place of the old ones, the certificate's before the key's."""
        certificate, key = (path.read_text() for path in pair)
        archive = f"{self.folder}-archive/{pair[0].stem}"
        for text, path in ((certificate, self.certificate), (key, self.key)):
            new = f"{archive}/{path.rpartition('/')[2]}"
            self.host.run(
                f"umask 077; mkdir -p {archive} {self.folder}; cat > {new} <<'END'\n{text}END\n"
                f"rm -f {path}; ln -s {new} {path}; sleep 0.5",
                user=self.user,
            )

    def served(self) -> str:
        """The serial number of the certificate that clients get."""
        command = ["openssl", "s_client", "-connect", f"{self.host.address}:{self.port}", "-servername", NAME]
        return serial(subprocess.run(command, input="", capture_output=True, text=True, timeout=20).stdout)

    def wait_for_serial(self, wanted: str) -> float:
        """Seconds until clients get that one."""
        began = time.monotonic()
        while self.served() != wanted:
            assert time.monotonic() - began < NOTICED_SECONDS, self.served()
            time.sleep(0.2)
        return time.monotonic() - began

    def curl(self, pair: tuple[Path, Path], path: str, *arguments: str) -> str:
        """curl's output from the machine of the lab, which trusts that certificate alone."""
        command = ["curl", "-sS", "--max-time", "60", "--cacert", str(pair[0]), "--noproxy", "*"]
        command += ["--resolve", f"{NAME}:{self.port}:{self.host.address}", *arguments]
        command.append(f"https://{NAME}:{self.port}{path}")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
