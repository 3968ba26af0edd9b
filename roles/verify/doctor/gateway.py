"""Signs of the gateway: its address, its keys, its models, its instances and its cache."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import AGAIN, FIREWALL, FRONT_LOG, GATEWAY_LOG, LOG, Sign

_SECRETS = "ls -l {secrets}"
_CERTIFICATE_LOG = "{journalctl} -u ai-backend-certificate -n 20"
_CLIENT = "grep -A 6 tls: {config}/providers.yaml"

GATEWAY: Mapping[str, Sign] = {
    "cache-down": Sign(
        ("gateway/cache",),
        (),
        "the gateway cannot use its cache, which is not well",
        (Cause("{unit} does not run, or hangs: see its checks", LOG),),
    ),
    "cache-forgets": Sign(
        ("gateway/cache",),
        ("cache-forgets",),
        "the gateway's cache keeps nothing",
        (
            Cause(
                "it takes nothing more, its memory being full: raise its `maxmemory`",
                "{journalctl} -u 'litellm*' -n 50 -g redis",
            ),
            Cause("the gateway has just failed to reach it, and leaves it alone for some seconds", LOG),
        ),
    ),
    "cache-untried": Sign(
        ("gateway/cache",),
        ("cache-untried",),
        "no route answers by which the cache could be tried",
        (Cause("see their own checks", GATEWAY_LOG),),
    ),
    "cache": Sign(
        ("gateway/cache",),
        ("cache-unhealthy", "cache-unreachable"),
        "the gateway cannot use its cache, which is well",
        (
            Cause("Redis refuses it: its password was changed: `{systemctl} restart {unit}`", LOG),
            Cause("a firewall is between it and the gateway", FIREWALL),
        ),
    ),
    "certificate-end": Sign(
        ("gateway/certificate",),
        ("certificate-expired", "certificate-expires"),
        "the endpoint's certificate has expired, or soon will",
        (
            Cause(
                "nobody has renewed it: renew it now, as `certbot renew` does; the endpoint takes it by itself",
                "{systemctl} list-timers --all",
            ),
        ),
    ),
    "certificate-stays": Sign(
        ("gateway/certificate",),
        ("certificate-differs", "certificate-kept", "certificate-unreadable"),
        "the endpoint does not use the certificate in the host's file",
        (
            Cause(
                "what was renewed cannot be used: the log says why; put both files right, and the endpoint takes them",
                _CERTIFICATE_LOG,
            ),
            Cause(
                "nobody has noticed the renewal: `{systemctl} start ai-backend-certificate`",
                "{systemctl} status ai-backend-certificate.path",
            ),
        ),
    ),
    "certificate-name": Sign(
        ("gateway/certificate",),
        ("certificate-name",),
        "the endpoint's certificate is for another name",
        (Cause("`server_name` names another one than it was issued for: fix it, or have one issued for it", _CLIENT),),
    ),
    "certificate-early": Sign(
        ("gateway/certificate",),
        ("certificate-early",),
        "the endpoint's certificate is not valid yet",
        (Cause("the clock of this host, or of the one that issued it, is wrong", "timedatectl"),),
    ),
    "tls": Sign(
        ("gateway/certificate",),
        ("tls-failed",),
        "no TLS connection to the endpoint can be made",
        (Cause("another program answers in its place, or the certificate is no server's", _CLIENT),),
    ),
    "gateway-unreachable": Sign(
        ("gateway/*",),
        ("answer-timeout", "connect-timeout"),
        "the gateway does not answer in time",
        (
            Cause("a firewall drops what goes to its port", FIREWALL),
            Cause("its process hangs: see the checks of its unit", FRONT_LOG),
        ),
    ),
    "gateway-down": Sign(
        ("gateway/*",),
        ("connection-failed", "gateway-unavailable"),
        "the gateway cannot be reached",
        (Cause("its unit does not run: see its checks", FRONT_LOG),),
    ),
    "key-missing": Sign(
        ("gateway/*", "route/*"),
        ("key-unreadable",),
        "the gateway's key cannot be read",
        (Cause(f"its file was removed or emptied: {AGAIN}", _SECRETS),),
    ),
    "key-differs": Sign(
        ("gateway/*",),
        ("key-refused",),
        "the gateway refuses its own key",
        (Cause("the key was changed, and the gateway not restarted: `{systemctl} restart 'litellm*'`", _SECRETS),),
    ),
    "keys": Sign(
        ("gateway/keys",),
        ("keys-differ",),
        "the front accepts other keys than those of the declared clients",
        (
            Cause(
                "a run was killed while it changed them, or somebody changed them by hand: `{systemctl} restart "
                "ai-backend-front`, which cuts what is under way",
                "ls -l {secrets}/clients",
            ),
        ),
    ),
    "models": Sign(
        ("gateway/models",),
        ("models-differ",),
        "the gateway does not offer just the declared models",
        (
            Cause(
                "it runs with another configuration than the deployed one: see the checks of its unit", "ls -l {config}"
            ),
            Cause("LiteLLM dropped a deployment that it could not read", "{journalctl} -u 'litellm*' -g error"),
        ),
    ),
    "open-door": Sign(
        ("gateway/*-key",),
        ("key-not-required",),
        "the gateway answers without the right key",
        (Cause("it runs without a master key: its environment was changed by hand", "{systemctl} cat 'litellm*'"),),
    ),
    "instance-out": Sign(
        ("gateway/servers",),
        ("instance-unused",),
        "an instance of the gateway gets no requests",
        (
            Cause("the instance does not answer: see the checks of its unit", "{journalctl} -u 'litellm@*' -n 50"),
            Cause(
                "a run was killed while it replaced the instance (DRAIN), or somebody took it out (MAINT): "
                "`{systemctl} restart ai-backend-front`, which cuts what is under way",
                "{journalctl} -u ai-backend-front -n 20",
            ),
        ),
    ),
    "no-fallback": Sign(
        ("gateway/fallback",),
        (
            "request-failed",
            "backend-unreachable",
            "backend-timeout",
            "cooling-down",
            "over-limit",
            "wrong-origin",
            "wrong-words",
            "only-thinking",
            "empty-answer",
            "malformed-answer",
        ),
        "a request does not go on to a fallback",
        (Cause("the route that it should go on to fails: see its checks", GATEWAY_LOG),),
    ),
    "gateway-error": Sign(
        ("gateway/*",),
        ("request-failed", "malformed-answer", "backend-unreachable", "backend-timeout", "cooling-down", "over-limit"),
        "the gateway answers with an error, or not as LiteLLM does",
        (
            Cause("LiteLLM fails: its log says why", GATEWAY_LOG),
            Cause("another program answers in its place: see the checks of its unit", "ss -ltnp"),
        ),
    ),
}
