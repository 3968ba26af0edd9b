"""Ways to break LiteLLM's configuration, each as it could come out of a wrong rendering of the lab's whole stack.

An inventory has one of them by `broken_host`; `tests/lab/broken_configs_table.py` tries them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

from roles.litellm import LiteLLM
from roles.litellm.config import litellm_config

Config = dict[str, Any]
OLLAMA, VLLM, PYTHON, NATIVE = range(4)
"""Places of the models in the stack's `model_list`."""


@dataclass(frozen=True)
class Way:
    """One way to break it.

    Attributes:
        what: what is wrong, for people.
        comes_of_it: what LiteLLM does with it, where nothing stops it.
        break_it: changes the configuration.
    """

    what: str
    comes_of_it: str
    break_it: Callable[[Config], Any]


def _model(place: int, **parameters: Any) -> Callable[[Config], Any]:
    return lambda config: config["model_list"][place]["litellm_params"].update(parameters)


def _without(place: int, parameter: str) -> Callable[[Config], Any]:
    return lambda config: config["model_list"][place]["litellm_params"].pop(parameter)


def _section(name: str, **settings: Any) -> Callable[[Config], Any]:
    return lambda config: config[name].update(settings)


def _router(**settings: Any) -> Callable[[Config], Any]:
    return _section("router_settings", **settings)


def _two_sections(config: Config) -> None:
    config["litellm_settings"]["fallbacks"] = [{"tiny-native": ["tiny-vllm"]}]


def _alias_alone(config: Config) -> None:
    fallbacks = config["router_settings"]["fallbacks"]
    config["router_settings"]["fallbacks"] = [each for each in fallbacks if "gpt-4o" not in each]


_SAME = "starts; the setting is not obeyed"
_DROPPED = "starts without the model"
_DIES = "does not start"
_FAILS = "starts; each request to the model fails"

WAYS = {
    # Shapes
    "fallbacks-mapping": Way(
        "`fallbacks` as a mapping", _DIES, _router(fallbacks={"tiny-vllm": ["tiny-ollama:latest"]})
    ),
    "aliases-list": Way("`model_group_alias` as a list", _DIES, _router(model_group_alias=[{"gpt-4o": "tiny-vllm"}])),
    "alias-list": Way(
        "an alias of a list of names",
        "drops the alias in silence; before 1.97 a TypeError at each request",
        _router(model_group_alias={"gpt-4o": ["tiny-vllm"]}),
    ),
    "no-model": Way("a deployment without `model`", _DIES, _without(NATIVE, "model")),
    "callbacks-word": Way("`callbacks` as a word", _DIES, _section("litellm_settings", callbacks="prometheus")),
    "retry-policy-type": Way("words in `retry_policy`", _DIES, _router(retry_policy={"TimeoutErrorRetries": "many"})),
    # Words
    "strategy": Way("an unknown `routing_strategy`", _DIES, _router(routing_strategy="simplest-shuffle")),
    "callback": Way("a misspelled callback", _DIES, _section("litellm_settings", callbacks=["promethius"])),
    "include": Way("an `include` that is not there", _DIES, lambda config: config.update(include=["nowhere.yaml"])),
    "unknown-section": Way("a misspelled section", _SAME, lambda config: config.update(litellm_setings={})),
    "unknown-litellm-key": Way(
        "a misspelled key in `litellm_settings`", _SAME, _section("litellm_settings", drop_parms=True)
    ),
    "unknown-general-key": Way(
        "a misspelled key in `general_settings`", _SAME, _section("general_settings", max_paralel_requests=4)
    ),
    "unknown-parameter": Way(
        "a misspelled key in `litellm_params`", "starts; sends it to the backend", _model(NATIVE, api_bsae="x")
    ),
    "section": Way("a setting in the wrong section", _SAME, _section("general_settings", num_retries=2)),
    "master-key-section": Way(
        "`master_key` in the wrong section",
        "starts; lets everybody in, but where LITELLM_MASTER_KEY is in its environment, as here",
        lambda config: config["litellm_settings"].update(master_key=config["general_settings"].pop("master_key")),
    ),
    # Names
    "fallback-target": Way(
        "a fallback to a name that is not there",
        "starts; the fallback fails",
        _router(fallbacks=[{"tiny-vllm": ["tiny-olama:latest"]}]),
    ),
    "alias-target": Way(
        "an alias of a name that is not there",
        "starts; the alias answers 400",
        _router(model_group_alias={"gpt-4o": "tiny-vlm"}),
    ),
    "alias-cycle": Way(
        "two aliases of each other",
        "starts; both answer 400",
        _router(model_group_alias={"gpt-4o": "b", "b": "gpt-4o"}),
    ),
    "alias-shadows": Way(
        "an alias with the name of a model",
        "starts; the model is not reached",
        _router(model_group_alias={"gpt-4o": "tiny-vllm", "tiny-native": "tiny-python"}),
    ),
    "alias-alone": Way("an alias that is left out of `fallbacks`", "starts; the alias has none", _alias_alone),
    "fallbacks-twice": Way(
        "fallbacks in two sections", "starts; those of `litellm_settings` are ignored", _two_sections
    ),
    "one-id": Way(
        "two deployments with one `model_info.id`",
        "starts; answers of both are booked on one",
        lambda config: config["model_list"][NATIVE]["model_info"].update(id="tiny-python@python"),
    ),
    # The environment
    "master-key-unset": Way(
        "a master key from a variable that is not set",
        _DIES,
        _section("general_settings", master_key="os.environ/NOT_SET"),
    ),
    "variable-unset": Way(
        "an `api_key` from a variable that is not set", _FAILS, _model(NATIVE, api_key="os.environ/NOT_SET")
    ),
    "base-unset": Way(
        "an `api_base` from a variable that is not set",
        "starts; prompts for vLLM go to api.openai.com",
        _model(VLLM, api_base="os.environ/NOT_SET"),
    ),
    "variable-in-list": Way(
        "a variable as an item of a list",
        "starts; takes it as it is written",
        _router(fallbacks=[{"tiny-vllm": ["os.environ/FALLBACK"]}]),
    ),
    "database": Way(
        "a database, and no prisma",
        _DIES,
        _section("general_settings", database_url="postgresql://litellm:litellm@127.0.0.1:9/litellm"),
    ),
    "prometheus": Way(
        "the callback prometheus, whose package `litellm[proxy]` does not bring",
        "does not start, but where it is installed, as here",
        _section("litellm_settings", callbacks=["prometheus"]),
    ),
    # Values
    "timeout-word": Way("a time-out that is no number", _FAILS, _model(NATIVE, timeout="soon")),
    "weight-word": Way("a weight that is no number", _FAILS, _model(NATIVE, weight="heavy")),
    "retries-word": Way("a number of retries that is none", _FAILS, _router(num_retries="twice")),
    "rpm-word": Way("a limit that is no whole number", _DROPPED, _model(NATIVE, rpm="many")),
    "rpm-share": Way(
        "`rpm` without the check that enforces it",
        "starts; the limit is a share of the requests",
        _model(NATIVE, rpm=60),
    ),
    "allowed-fails": Way(
        "no `allowed_fails`",
        "starts; a dead primary costs every request its failure",
        lambda config: [config["router_settings"].pop(name) for name in ("allowed_fails", "allowed_fails_policy")],
    ),
    "request-timeout": Way(
        "no `request_timeout`",
        "starts; a backend that hangs holds a request for 6,000 s",
        lambda config: config["litellm_settings"].pop("request_timeout"),
    ),
    # Backends
    "provider": Way("an unknown provider", _DROPPED, _model(NATIVE, model="openia/tiny-native")),
    "llama-cpp": Way("`llama_cpp/`, which is no provider", _DROPPED, _model(NATIVE, model="llama_cpp/tiny-native")),
    "no-base": Way("no `api_base`", "starts; prompts for vLLM go to api.openai.com", _without(VLLM, "api_base")),
    "no-scheme": Way("an `api_base` without http://", _FAILS, _model(NATIVE, api_base="127.0.0.1:8080/v1")),
    "ollama-v1": Way("`/v1` for Ollama", _FAILS, _model(OLLAMA, api_base="http://127.0.0.1:11434/v1")),
    "ollama-slash": Way("a slash after Ollama's address", _FAILS, _model(OLLAMA, api_base="http://127.0.0.1:11434/")),
    "ollama-generate": Way(
        "`ollama/` for a chat model",
        "starts; tools and the model's template are lost",
        _model(OLLAMA, model="ollama/tiny-ollama:latest"),
    ),
    "vllm-v1": Way("no `/v1` for vLLM", _FAILS, _model(VLLM, api_base="http://127.0.0.1:8001")),
    "no-key": Way("no `api_key` for an OpenAI-compatible server", _FAILS, _without(NATIVE, "api_key")),
}


def broken_config(way: Way) -> Callable[..., Config]:
    """A `litellm_config` that renders what that way leaves of it."""

    def broken(*arguments: Any) -> Config:
        config: Config = litellm_config(*arguments)
        way.break_it(config)
        return config

    return broken


def sound_host() -> list[tuple[str, dict[str, Any]]]:
    """An inventory of the lab's whole stack, with one instance of the gateway."""
    # Not above: it makes the lab's models and fetches its wheels.
    import inventory.lab
    from tests.lab.inventory import lab_host

    stack = inventory.lab.stack
    return [lab_host(stack.model_copy(update={"gateway": LiteLLM(bind="0.0.0.0", instances=1)}))]


def broken_host(name: str, *, lint: bool = True) -> list[tuple[str, dict[str, Any]]]:
    """The same with the gateway's configuration broken.

    Args:
        name: of the way.
        lint: the lint looks at it.
    """
    mock.patch("roles.litellm.plan.litellm_config", broken_config(WAYS[name])).start()
    if not lint:
        mock.patch("roles.checked_plans.lint_configuration").start()
    return sound_host()
