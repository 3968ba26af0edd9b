"""Certificates for tests, made with openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("-newkey", "rsa:2048")


def issue(
    folder: Path, name: str, *names: str, days: int = 90, kind: Sequence[str] = EC, not_before: str | None = None
) -> tuple[Path, Path]:
    """The files of a new certificate, signed with its own key, and of that key.

    Args:
        names: the DNS names that it is for.
        days: until its end; negative = it has ended.
        not_before: `YYYYMMDDHHMMSSZ`; none = now.
    """
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    request = folder / f"{name}.csr"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(f'DNS:{each}' for each in names)}"]
    made = ["-nodes", "-keyout", str(key)]
    if days > 0 and not_before is None:
        _openssl("req", "-x509", *kind, *made, *subject, "-days", str(days), "-out", str(certificate))
        return certificate, key
    _openssl("req", "-new", *kind, *made, *subject, "-out", str(request))
    (folder / "serial").write_text("01\n")
    (folder / "index").write_text("")
    settings = folder / "ca.cnf"
    settings.write_text(
        f"[ca]\ndefault_ca=x\n[x]\nserial={folder}/serial\ndatabase={folder}/index\nnew_certs_dir={folder}\n"
        "default_md=sha256\npolicy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n"
    )
    begin, end = (not_before, "20990101000000Z") if not_before else ("20200101000000Z", "20200201000000Z")
    _openssl(
        *("ca", "-batch", "-config", str(settings), "-selfsign", "-keyfile", str(key), "-in", str(request)),
        *("-startdate", begin, "-enddate", end, "-notext", "-out", str(certificate)),
    )
    return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def issue_signed(folder: Path, *names: str) -> tuple[Path, Path, Path]:
    """The files of an authority's certificate, of one that it signed for those DNS names, and of that one's key."""
    authority, authority_key = folder / "authority.crt", folder / "authority.key"
    certificate, key, request = folder / "server.crt", folder / "server.key", folder / "server.csr"
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName={','.join(f'DNS:{each}' for each in names)}\nbasicConstraints=CA:FALSE\n")
    made = ("-nodes", "-keyout")
    _openssl(
        *("req", "-x509", *EC, *made, str(authority_key), "-subj", "/CN=Company", "-days", "90"),
        *("-addext", "keyUsage=critical,keyCertSign", "-out", str(authority)),
    )
    _openssl("req", "-new", *EC, *made, str(key), "-subj", f"/CN={names[0]}", "-out", str(request))
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key), "-CAcreateserial"),
        *("-days", "30", "-extfile", str(extensions), "-out", str(certificate)),
    )
    return authority, certificate, key
