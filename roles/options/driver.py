"""The driver of NVIDIA's cards, as packages of the host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from roles.options.base import Options
from roles.options.sources import UrlFile
from roles.options.spelling import spelled
from roles.options.values import Url

DriverVersion = Annotated[
    str, spelled(r"[0-9]{3}(\.[0-9]{1,3}){0,2}", 'version of NVIDIA\'s driver, or its branch, such as "580"')
]


class NvidiaDriver(Options):
    """The driver of NVIDIA's cards, installed from packages before anything needs it. A deploy that installs it reboots
    the host, and goes on afterwards."""

    source: Literal["debian", "nvidia", "installed"] = Field("debian", examples=['source="installed"'])
    """`debian`: from Debian's non-free. `nvidia`: NVIDIA's own apt `repository`. `installed`: the one that is there,
    which is only held."""
    version: DriverVersion | None = Field(None, examples=['version="580"'])
    """The version, or the branch; none = the newest that there is when it is installed. One that fits stays."""
    hold: bool = Field(True, examples=["hold=False"])
    """Hold its packages, so that no upgrade but a deploy's replaces them under a running driver (`apt-mark hold`)."""
    repository: Url | None = Field(None, examples=['repository="https://nvidia.example.com/debian12/x86_64"'])
    """Address of NVIDIA's repository for the host's system, or of a mirror."""
    key: UrlFile | None = Field(
        None,
        examples=[
            'key=UrlFile(url="https://nvidia.example.com/debian12/x86_64/key.pub", '
            'sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e")'
        ],
    )
    """The key that the repository is signed with."""

    @model_validator(mode="after")
    def _fits_its_source(self) -> NvidiaDriver:
        given = [name for name in ("repository", "key") if getattr(self, name) is not None]
        if self.source == "nvidia" and len(given) < 2:
            raise ValueError(
                "source=\"nvidia\" needs `repository` and `key`: the address of NVIDIA's repository for the host's "
                "system, or of a mirror, and the key that it is signed with, by its SHA-256"
            )
        if self.source != "nvidia" and given:
            raise ValueError(f'`{given[0]}` is for source="nvidia" alone; remove it, or set `source`')
        if self.source == "installed" and self.version:
            raise ValueError('`version` says what to install, and source="installed" installs nothing; remove one')
        if self.source == "installed" and not self.hold:
            raise ValueError('source="installed" with hold=False does nothing; remove the driver')
        return self
