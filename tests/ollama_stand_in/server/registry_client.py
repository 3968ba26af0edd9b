"""Asking a model registry, with the errors of the real server in its words."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from .errors import ApiError
from .names import Name
from .store import MANIFEST_TYPE

_TIMEOUT = 30.0
"""Seconds without a byte. A part of a download that stands still so long is asked for again."""
_REDIRECTS = 10


class RegistryError(Exception):
    """A pull ends with this message."""


class _NotFound(RegistryError):
    """404: `file does not exist`."""


@dataclass
class Reply:
    """An open answer; its body is still to be read."""

    status: int
    headers: http.client.HTTPMessage
    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def ask(method: str, url: str, headers: dict[str, str]) -> Reply:
    """One request, no redirect followed. Raises `RegistryError` in Go's words when there is no answer."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    proxy, login = _proxy(parts.scheme, host)
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(*(proxy or (host, port)), timeout=_TIMEOUT)
    path = f"{parts.path}{'?' + parts.query if parts.query else ''}"
    if proxy and secure:
        connection.set_tunnel(host, port, login)
    elif proxy:
        path, headers = url, {**headers, **login}
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise RegistryError(f'{method.capitalize()} "{url}": {_in_words(error, host, port)}') from error
    return Reply(response.status, response.headers, response, connection)


def _proxy(scheme: str, host: str) -> tuple[tuple[str, int] | None, dict[str, str]]:
    """The proxy to a host, as Go takes it from the environment, and the header with its login."""
    given = getproxies().get(scheme)
    if not given or proxy_bypass(host) or host == "localhost" or host.startswith("127."):
        return None, {}
    parts = urlsplit(given)
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    header = {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if parts.username else {}
    return (parts.hostname or "", parts.port or 80), header


def _in_words(error: Exception, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host} on {_name_server()}:53: no such host"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "tls: first record does not look like a TLS handshake"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {socket.gethostbyname(host)}:{port}: connect: connection refused"
    if isinstance(error, http.client.RemoteDisconnected):
        return "EOF"
    return str(error)


def _name_server() -> str:
    try:
        found = re.search(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else "127.0.0.1"


class Registry:
    """The registry of one model, for the length of a pull."""

    def __init__(self, name: Name, version: str, *, insecure: bool) -> None:
        # `insecure` means http, whether the name says so or not; without it a name with http:// is asked by https.
        self._base = f"{'http' if insecure else 'https'}://{name.host}"
        self._model = f"{name.namespace}/{name.model}"
        self._tag = name.tag
        self._agent = f"ollama/{version} (amd64 linux) stand-in"
        self._token = ""

    def manifest(self) -> bytes:
        headers = {"Accept": MANIFEST_TYPE}
        try:
            with self._ask("GET", f"{self._base}/v2/{self._model}/manifests/{self._tag}", headers) as reply:
                return reply.response.read()
        except RegistryError as error:
            raise ApiError(500, f"pull model manifest: {error}") from error

    def blob_size(self, digest: str) -> int:
        with self._ask("HEAD", self._blob_url(digest)) as reply:
            return int(reply.headers.get("Content-Length") or 0)

    def direct_url(self, digest: str) -> str:
        """Where the blob lies: the first redirect to another host is not followed but told."""
        url = self._blob_url(digest)
        for _ in range(_REDIRECTS):
            with self._ask("GET", url) as reply:
                location = reply.headers.get("Location")
                if not location:
                    raise RegistryError("http: no Location header in response")
                target = urljoin(url, location)
                if urlsplit(target).hostname != urlsplit(url).hostname:
                    return target
                url = target
        raise RegistryError(f"maximum redirects exceeded ({_REDIRECTS}) for directURL")

    def _blob_url(self, digest: str) -> str:
        return f"{self._base}/v2/{self._model}/blobs/{digest}"

    def _ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> Reply:
        for _ in range(2):
            token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            reply = ask(method, url, {"User-Agent": self._agent, **(headers or {}), **token})
            if reply.status == 401:
                with reply:
                    challenge = reply.headers.get("WWW-Authenticate", "")
                    self._token = self._new_token(challenge, urlsplit(url).netloc)
                continue
            if reply.status == 404:
                reply.connection.close()
                raise _NotFound("file does not exist")
            if reply.status >= 400:
                with reply:
                    body = reply.response.read().decode(errors="replace")
                raise RegistryError(f"{reply.status}: {body}")
            return reply
        raise RegistryError("unauthorized: access denied")

    def _new_token(self, challenge: str, asked: str) -> str:
        """From the place that a challenge names, which must be on the host that was asked."""
        fields = {"realm": "", **dict(re.findall(r'(\w+)="([^"]*)"', challenge))}
        if (realm := urlsplit(fields["realm"]).netloc) != asked:
            raise RegistryError(f'realm host "{realm}" does not match original host "{asked}"')
        query = urlencode({key: fields[key] for key in ("service", "scope") if key in fields})
        with ask("GET", f"{fields['realm']}?{query}", {"User-Agent": self._agent}) as reply:
            body = reply.response.read()
            if reply.status >= 400:
                text = f": {body.decode(errors='replace')}" if body else ""
                raise RegistryError(f"{reply.status}{text}")
            return str(json.loads(body)["token"])
