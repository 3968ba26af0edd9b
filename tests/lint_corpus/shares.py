"""Entries of what spreads requests among deployments of one name: weights, orders, tags, limits."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_HOST = "http://127.0.0.1:9/v1"
_NOT_OBEYED = "LiteLLM does not read it there"
_FAILS = "each request ends in an error"


def _two(first: str = "", second: str = "", *, entry: str = "", info: str = "", rest: str = "") -> str:
    """Two deployments of one name: further parameters of each; keys of the first one's entry and `model_info`."""
    info = f", model_info: {{{info}}}" if info else ""
    return (
        "model_list:\n"
        f'  - {{model_name: a, litellm_params: {{model: openai/x, api_base: "{_HOST}", api_key: k{first}}}'
        f"{info}{entry}}}\n"
        f'  - {{model_name: a, litellm_params: {{model: openai/y, api_base: "{_HOST}", api_key: k{second}}}}}\n'
        f"{rest}"
    )


def _router(settings: str) -> str:
    return f"router_settings: {{{settings}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "weights": _two(", weight: 3", ", weight: 1"),
    "weight-negative": _two(", weight: -1", ", weight: 1"),
    "weight-half": _two(", weight: 0.5", ", weight: 0.25"),
    "weight-text": Entry(_two(', weight: "3"', ", weight: 1"), breaks=_FAILS),
    "weight-percent": Entry(_two(", weight: 75%", ", weight: 25%"), breaks=_FAILS),
    "weight-mapping": Entry(_two(", weight: {a: 3}", ", weight: 1"), breaks=_FAILS),
    "weight-from-variable": Entry(
        _two(", weight: os.environ/SHARE", ", weight: 1"), environment={"SHARE": "3"}, breaks=_FAILS
    ),
    "weight-text-of-a-lone-one": Entry(
        'model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o, weight: "3"}}]', breaks=_FAILS
    ),
    "weight-in-entry": Entry(_two(entry=", weight: 3"), breaks=_NOT_OBEYED),
    "weight-in-information": Entry(_two(info="weight: 3"), breaks=_NOT_OBEYED),
    "weight-plural": Entry(_two(", weights: 3", ", weights: 1"), breaks=_NOT_OBEYED),
    "rpm-from-variable": Entry(_two(", rpm: os.environ/SHARE", ", rpm: 60"), environment={"SHARE": "60"}),
    "order-text": Entry(_two(', order: "1"', ", order: 2"), breaks=_FAILS),
    "order-zero": _two(", order: 0", ", order: 1"),
    "order-in-entry": Entry(_two(entry=", order: 1"), breaks=_NOT_OBEYED),
    "order-in-information": Entry(_two(info="order: 1"), breaks=_NOT_OBEYED),
    "tags": _two(", tags: [free]", ", tags: [default]", rest=_router("enable_tag_filtering: true")),
    "tags-in-entry": Entry(_two(entry=", tags: [free]"), breaks=_NOT_OBEYED),
    "tags-in-information": Entry(
        _two(info="tags: [free]", rest=_router("enable_tag_filtering: true")), breaks=_NOT_OBEYED
    ),
    "tag-singular": Entry(_two(", tag: [free]"), breaks=_NOT_OBEYED),
    "tags-nothing": _two(", tags: "),
    "tags-with-number": _two(", tags: [free, 1]"),
    "tag-pattern": _two(', tag_regex: ["^User-Agent: curl"]', rest=_router("enable_tag_filtering: true")),
    "tag-pattern-broken": Entry(
        _two(', tag_regex: ["^User-Agent: (curl"]', rest=_router("enable_tag_filtering: true")),
        breaks="the pattern is passed over",
    ),
    "tag-pattern-word": _two(", tag_regex: ^curl"),
    "filter-misspelled": Entry(
        _two(", tags: [free]", rest=_router("enable_tag_filter: true")), breaks="tags are not looked at"
    ),
    "filter-in-settings": Entry(
        _two(", tags: [free]", rest="litellm_settings: {enable_tag_filtering: true}\n"), breaks=_NOT_OBEYED
    ),
    "filter-word": _two(", tags: [free]", rest=_router('enable_tag_filtering: "true"')),
    "filter-list": _two(", tags: [free]", rest=_router("enable_tag_filtering: [free]")),
    "match-any": _two(", tags: [free]", rest=_router("enable_tag_filtering: true, tag_filtering_match_any: false")),
    "parallel-text": Entry(_two(', max_parallel_requests: "4"'), breaks=_FAILS),
    "parallel-zero": _two(", max_parallel_requests: 0"),
}
