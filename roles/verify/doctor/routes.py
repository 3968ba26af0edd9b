"""Signs of routes: which backend answers, how fast, and what."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import AGAIN, FIREWALL, FRONT_LOG, GATEWAY_LOG, INSTALLS, LOG, Sign

ROUTES: Mapping[str, Sign] = {
    "route-slower": Sign(
        ("route/*/speed",),
        ("route-slower",),
        "a route is slower than it should be",
        (
            Cause("what was changed in {unit} makes it slower, such as threads or layers", "{systemctl} cat {unit}"),
            Cause("something else uses the processors or cards", "top -bn 1 | head -n 20"),
            Cause(
                'it is meant to be slower: deploy it once with `speed="report"`, or correct the bounds',
                "grep -A 4 'speed:' {config}/model-mappings.yaml",
            ),
        ),
    ),
    "backend-down": Sign(
        ("route/*",),
        (),
        "a route's backend is not well",
        (Cause("{unit} does not run as it should: see its checks", LOG),),
    ),
    "route-gateway-down": Sign(
        ("route/*",),
        ("connection-failed", "connect-timeout", "gateway-unavailable"),
        "the gateway does not answer for a route",
        (Cause("the gateway cannot be reached: see its checks", FRONT_LOG),),
    ),
    "mistake-punished": Sign(
        ("route/*/apis/after-mistakes",),
        ("wrong-origin", "cooling-down", "backend-unreachable", "request-failed"),
        "a client's mistake puts a route out of service",
        (
            Cause("the gateway counts a refused request as a fault of {unit}: its log names it", GATEWAY_LOG),
            Cause("a request of that kind ends {unit}: its log says why", LOG),
        ),
    ),
    "mistake": Sign(
        ("route/*/apis/*",),
        ("mistake-accepted", "mistake-misjudged", "mistake-moved-on", "mistake-unexplained"),
        "a wrong request is not refused as it should be",
        (
            Cause(f"the gateway runs without what looks at requests before it passes them on: {AGAIN}", GATEWAY_LOG),
            Cause(
                "{unit} can do more than is declared, or less: correct the route's abilities in the inventory",
                "grep -A 12 'abilities' {config}/model-mappings.yaml",
            ),
        ),
    ),
    "ability": Sign(
        ("route/*/apis/*",),
        ("parameter-ignored", "no-tool-call", "wrong-tool-call", "schema-violated", "request-failed"),
        "a route cannot do what a client program asks of it",
        (
            Cause(
                "{unit} cannot do it: take the ability from the route in the inventory",
                "grep -A 12 'abilities' {config}/model-mappings.yaml",
            ),
            Cause("its server needs an option for it (vLLM: `tool_call_parser`)", "{systemctl} cat {unit}"),
        ),
    ),
    "hang-up": Sign(
        ("route/*/apis/hang-up",),
        ("hang-up-ignored",),
        "a backend works on for clients that are gone",
        (
            Cause("the gateway does not pass the hang-up on to {unit}", GATEWAY_LOG),
            Cause("{unit} does not notice it, or other clients keep it busy", LOG),
        ),
    ),
    "open-route": Sign(
        ("route/*/apis/refused-key",),
        ("key-not-required",),
        "a route answers without the right key",
        (Cause("it runs without a master key: its environment was changed by hand", "{systemctl} cat 'litellm*'"),),
    ),
    "backend-unreachable": Sign(
        ("route/*",),
        ("backend-unreachable",),
        "the gateway cannot reach a route's backend",
        (
            Cause("a firewall is between the gateway and {unit}", FIREWALL),
            Cause("{unit} breaks off what the gateway asks: its log says why", LOG),
        ),
    ),
    "other-words": Sign(
        ("route/*",),
        ("wrong-words",),
        "a route answers something else",
        (
            Cause("another model answers behind it: somebody replaced it, or its files", INSTALLS),
            Cause(
                "the probe expects words that the model does not say to it",
                "grep -A 12 'probe' {config}/model-mappings.yaml",
            ),
        ),
    ),
    "thinking": Sign(
        ("route/*",),
        ("only-thinking",),
        "a reasoning model ran out of tokens",
        (Cause("its probe allows too few: raise `max_tokens`", "grep -A 8 'probe' {config}/model-mappings.yaml"),),
    ),
    "empty": Sign(
        ("route/*",),
        ("empty-answer",),
        "a route answers nothing",
        (
            Cause("the model, or its chat template, gives no words to the probe: its log may say why", LOG),
            Cause("the probe allows too few tokens", "grep -A 8 'probe' {config}/model-mappings.yaml"),
        ),
    ),
    "slow": Sign(
        ("route/*",),
        ("answer-timeout", "backend-timeout"),
        "a route does not answer in time",
        (
            Cause(
                "it answers slower than its probe's `timeout` allows: {unit} is busy, or the host overloaded",
                "top -b -n 1 | head -20",
            ),
            Cause("a firewall drops what the gateway sends to {unit}", FIREWALL),
        ),
    ),
    "limited": Sign(
        ("route/*",),
        ("over-limit",),
        "a route's requests are over its limit",
        (
            Cause(
                "clients send as many as its `rpm` or `tpm` allows: raise that",
                "grep -B 8 -E ' [rt]pm:' {config}/litellm-unified.yaml",
            ),
        ),
    ),
    "elsewhere": Sign(
        ("route/*",),
        ("wrong-origin",),
        "a route is answered by another backend",
        (
            Cause("the gateway's requests to {unit} fail: a firewall is between them, or it breaks them off", LOG),
            Cause("it cools down after a failure that is over by now: `deploys/verify.py` again", LOG),
        ),
    ),
    "promise": Sign(
        ("route/*",),
        ("no-tool-call", "wrong-tool-call", "schema-violated"),
        "a route does not keep what it promises",
        (
            Cause("the model, or its chat template, cannot do it: take `tools` or `structured_outputs` back", LOG),
            Cause("its server needs an option for it (vLLM: `tool_call_parser`)", "{systemctl} cat {unit}"),
        ),
    ),
    "stream": Sign(
        ("route/*",),
        ("broken-stream",),
        "a route's answer does not come as a whole stream",
        (
            Cause("{unit} breaks off its answers: its log says why", LOG),
            Cause("the gateway was restarted meanwhile: `deploys/verify.py` again", FRONT_LOG),
        ),
    ),
    "sharer-silent": Sign(
        ("route/*/balance",),
        ("deployment-silent",),
        "one of a route's deployments does not answer",
        (Cause("see its own check", GATEWAY_LOG),),
    ),
    "unshared": Sign(
        ("route/*/balance",),
        ("share-missing",),
        "the gateway gives a deployment none of a route's requests",
        (
            Cause(
                f"it runs with another configuration than the deployed one: {AGAIN}, then "
                "`{systemctl} restart 'litellm*'`",
                "ls -l {config}",
            ),
        ),
    ),
    "refused": Sign(
        ("route/*",),
        ("request-failed", "cooling-down", "key-refused", "malformed-answer"),
        "a route's request fails",
        (
            Cause("{unit} refuses it: its log says why", LOG),
            Cause("the gateway cannot reach {unit}", GATEWAY_LOG),
        ),
    ),
}
