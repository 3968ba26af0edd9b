"""Value types that several options share."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from roles.options.spelling import is_address, quoted, spelled

_LONGEST_NAME = 240
"""Bytes of a file's name, with some left of the 255 that Linux takes."""
_UNITS = "KMGT"
_MOST_BYTES = 1 << 60
_LONGEST_PATH = 2000
"""Characters; Linux takes 4095 bytes."""


def _ipv4(text: str) -> str:
    try:
        address = IPv4Address(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is no IPv4 address; give one such as 127.0.0.1, or 0.0.0.0 for all") from None
    if address.is_multicast or address.is_reserved or (text != "0.0.0.0" and text.startswith("0.")):
        raise ValueError(f"{quoted(text)} is no address of a host; give one such as 127.0.0.1, or 0.0.0.0 for all")
    return text


def _one_host(address: str) -> str:
    if IPv4Address(address).is_loopback or address == "0.0.0.0":
        raise ValueError(f"{quoted(address)} leads no other host to this one; give one of its own, such as 10.0.0.5")
    return address


def _network(text: str) -> str:
    try:
        IPv4Network(text)
    except ValueError:
        raise ValueError(
            f"{quoted(text)} is no IPv4 network; give one such as 192.168.7.0/24, or one address"
        ) from None
    return text


def _web_address(text: str) -> str:
    if not text.startswith(("http://", "https://")) or any(c.isspace() for c in text):
        is_host = re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?(/\S*)?", text) and not is_address(text)
        near = f'; did you mean "https://{text}"?' if is_host else ""
        what = "; it is a path of a machine: use LocalFile for a file of this one" if text[:1] in "/~." else near
        raise ValueError(f"{quoted(text)} is no http:// or https:// address{what}")
    host = text.partition("://")[2].partition("/")[0]
    if "@" in host:
        raise ValueError(
            f"{quoted(text)} has a user or password in it, which would be shown in lists and logs, and is not sent; "
            "give the address without"
        )
    if not host or host.startswith((":", "?", "#")):
        raise ValueError(f"{quoted(text)} names no host; give an address such as https://files.example.com/model.gguf")
    port = host.partition("?")[0].partition("#")[0].rpartition("]")[2].partition(":")[2]
    if port and not (re.fullmatch("[0-9]{1,5}", port, re.ASCII) and 0 < int(port) < 65536):
        raise ValueError(f"{quoted(text)} has the port {quoted(port)}, and ports are from 1 to 65535")
    return text


def _memory_size(text: str) -> str:
    if re.fullmatch(r"[1-9][0-9]{0,15}[KMGT]", text, re.ASCII) and _bytes(text) <= _MOST_BYTES:
        return text
    near = ""
    if written := re.fullmatch(r"\s*0*([1-9][0-9]{0,5})\s*([KMGTkmgt])[iI]?[bB]?\s*", text, re.ASCII):
        near = f'; did you mean "{written[1]}{written[2].upper()}"?'
    raise ValueError(
        f'{quoted(text)} is no size of memory: a whole number and K, M, G or T (1024 of the one before), such as "64G"'
        f"{near}"
    )


def _bytes(size: str) -> int:
    return int(size[:-1]) << 10 * (1 + _UNITS.index(size[-1]))


_HIDDEN = ("/tmp", "/var/tmp", "/dev", "/proc", "/sys")
"""Folders that a service has of its own."""


def _host_path(text: str) -> str:
    if is_address(text):
        raise ValueError(f"{quoted(text)} is an address, and this is a path on the host")
    if text[:1] == "~":
        raise ValueError(f"{quoted(text)} is in somebody's home folder: write the whole path on the host")
    if not re.fullmatch(r"(/[^/\s:%\"'\\$]+)+/?", text) or not text.isprintable() or len(text) > _LONGEST_PATH:
        raise ValueError(
            f"{quoted(text)} is no whole path on the host without spaces and any of :%\"'$\\, such as "
            '"/srv/models/qwen"'
        )
    if {".", ".."} & {*text.split("/")}:
        raise ValueError(f"{quoted(text)} has `.` or `..` in it: write the path without")
    text = text.rstrip("/")
    for hidden in _HIDDEN:
        if text == hidden or text.startswith(f"{hidden}/"):
            raise ValueError(f"{quoted(text)} is in {hidden}, of which each service has its own: move it elsewhere")
    return text


def _models_folder(text: str) -> str:
    if len(text.encode()) > _LONGEST_NAME:
        raise ValueError(f"{quoted(text)} is longer than {_LONGEST_NAME} bytes: give the folder a shorter path")
    return text


def _local_path(text: str) -> str:
    if is_address(text):
        raise ValueError(f"{quoted(text)} is an address, and this is the path of a file of this machine")
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST_PATH:
        raise ValueError(f"{quoted(text)} is no path of a file")
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{quoted(text)} is in the home folder of a user that this machine does not have") from None
    return text


Name = Annotated[
    str, spelled("[a-z0-9][a-z0-9-]{0,40}", 'name of a service: lower-case letters, digits and "-", such as "qwen-2"')
]
"""Name of a service instance: it becomes part of unit and folder names."""

ProviderName = Annotated[
    str,
    spelled(
        r"([A-Za-z0-9@][A-Za-z0-9@._:/-]{0,250}/)?[a-z0-9][a-z0-9-]{0,40}",
        'name of a provider: lower-case letters, digits and "-", such as "qwen-2"; for one of another host of the '
        'inventory with its host, such as "gpu-1.example.com/qwen-2"',
    ),
]
"""Name of a provider of the same host, or `HOST/NAME`, with the host as the inventory names it."""

ModelName = Annotated[
    str,
    spelled(
        "[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,200}",
        'name of a model: letters, digits and any of "._:/@+-", without spaces, such as "llama3.1:latest"',
    ),
]
"""Name of a model as a client or a provider spells it, e.g. `llama3.1:latest`."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
BindAddress = Annotated[str, AfterValidator(_ipv4)]
HostAddress = Annotated[BindAddress, AfterValidator(_one_host)]
"""An address by which other hosts know one."""
Network = Annotated[str, AfterValidator(_network)]
Sha256 = Annotated[str, spelled("[0-9a-f]{64}", "SHA-256 in lower case: 64 of 0-9 and a-f, as `sha256sum` prints them")]
Revision = Annotated[
    str,
    spelled(
        "[A-Za-z0-9][A-Za-z0-9._/-]{0,100}",
        'commit, branch or tag, such as "main" or the 40 digits of a commit',
    ),
]
"""A commit of a model repository: 40 hexadecimal digits pin it; a branch or tag is resolved when it is fetched."""

Url = Annotated[str, AfterValidator(_web_address)]
LocalPath = Annotated[str, AfterValidator(_local_path)]
"""Path of a file of the control machine."""
HostPath = Annotated[str, AfterValidator(_host_path)]
"""Whole path on the host, without a slash at its end."""
ModelsFolder = Annotated[HostPath, AfterValidator(_models_folder)]
"""The same, of a length that one name has room for."""
MemorySize = Annotated[str, AfterValidator(_memory_size)]
"""A size as systemd writes it: `512M`, `16G`."""
