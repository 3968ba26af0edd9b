"""Rules about `rpm` and `tpm`: what they limit, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator

from roles.lint.config import Config, Model
from roles.lint.rule import Found, rule

_REQUESTS_PER_1000_TOKENS = 6
"""Azure's formula, by which LiteLLM makes requests of tokens (calculate_max_parallel_requests)."""
_FEW_AT_ONCE = 10


def _limited(config: Config) -> Iterator[tuple[Model, str, int | None]]:
    """Models with a limit, the key of it, and how many requests at the same time LiteLLM makes of it."""
    for model in config.models:
        key = next((key for key in ("rpm", "tpm") if model.params.get(key) is not None), None)
        if key:
            is_own = model.params.get("max_parallel_requests") is not None
            yield model, key, None if is_own else _at_once(key, model.params[key])


def _at_once(key: str, value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return int(value) if key == "rpm" else max(1, int(value / 1000 * _REQUESTS_PER_1000_TOKENS))
    except (OverflowError, ValueError):  # `.inf`, `.nan`, or too large
        return None


def _is_enforced(config: Config) -> bool:
    router = config.section("router_settings")
    checks = router.get("optional_pre_call_checks")
    other_strategy = router.get("routing_strategy", "simple-shuffle") != "simple-shuffle"
    return other_strategy or (isinstance(checks, list) and "enforce_model_rate_limits" in checks)


@rule(
    "warning",
    fix="add `optional_pre_call_checks: [enforce_model_rate_limits]` for a limit, or use `weight` for shares",
    source="tried with 1.106.2: under simple-shuffle they are weights; of 6 at once with rpm 2, 4 get 429",
)
def rate_limit_not_enforced(config: Config) -> Iterator[Found]:
    """`rpm` and `tpm` under the default routing strategy: shares, and the number of requests at the same time."""
    if _is_enforced(config):
        return
    for model, key, at_once in _limited(config):
        message = f"{model.title}: under simple-shuffle `{key}` is a share of the traffic and no limit a minute"
        if at_once is not None:
            message += (
                f"; it is also the number of requests at the same time ({at_once}): a further one gets 429 at once"
            )
        yield Found(model.parameter(key), message)


@rule(
    "warning",
    fix="set `max_parallel_requests` beside it",
    source="tried with 1.106.2: tpm 300 is 1 request at the same time, others get 429",
)
def rate_limit_in_parallel(config: Config) -> Iterator[Found]:
    """A small `rpm` or `tpm` without `max_parallel_requests`: it limits the requests at the same time too."""
    if not _is_enforced(config):
        return
    for model, key, at_once in _limited(config):
        if at_once is not None and at_once <= _FEW_AT_ONCE:
            message = f"{model.title}: `{key}` is also the number of requests at the same time ({at_once})"
            yield Found(model.parameter(key), f"{message}: a further one gets 429 at once")
