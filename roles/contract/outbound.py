"""The variables by which programs find their way out of a host."""

from __future__ import annotations

from dataclasses import dataclass

PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
NO_PROXY_VARIABLES = ("no_proxy", "NO_PROXY")
NEVER_PROXIED = ("localhost", "127.0.0.1", "::1")
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
"""Of Python and uv, pip, requests, curl and git: the file of the authorities that they trust instead of the host's."""


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """How a host reaches what is fetched.

    Attributes:
        proxy: its address, with user and password if it wants them.
        no_proxy: what is reached without it, beside the host itself.
        ca: certificates of authorities to trust beside the host's own, in PEM form.
    """

    proxy: str | None
    no_proxy: tuple[str, ...]
    ca: str | None
