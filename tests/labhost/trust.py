"""A lab host trusts the certificate authorities that its machine trusts.

A machine behind a TLS-inspecting proxy has that proxy's CA in its own bundle. A fresh Debian has not, so
nothing in it could fetch a package over https. Only the difference is added: the rest stays Debian's own.
"""

from __future__ import annotations

import re
from pathlib import Path

MACHINE_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def certificates(bundle: Path) -> list[str]:
    """The PEM blocks of a bundle in their order; none when the machine has no bundle."""
    return _CERTIFICATE.findall(bundle.read_text()) if bundle.exists() else []


def add_machine_authorities(root: Path, bundle: Path = MACHINE_BUNDLE) -> int:
    """Put the CAs that ``root`` lacks where its ``update-ca-certificates`` finds them; return how many."""
    known = set(certificates(root / MACHINE_BUNDLE.relative_to("/")))
    lacking = [certificate for certificate in certificates(bundle) if certificate not in known]
    folder = root / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True, exist_ok=True)
    for number, certificate in enumerate(lacking):
        (folder / f"lab-machine-{number:03}.crt").write_text(certificate + "\n")
    return len(lacking)
