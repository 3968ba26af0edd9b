"""What the lint as a whole promises: it is quick, it never breaks, it tells no secret, it knows its releases."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.lint import RULES, lint
from roles.lint.known import known_releases, known_to, parse_version

_FIXTURES = Path(__file__).parent / "fixtures"
_NO_VALUES = ("yaml-syntax", "too-large")
_READABLE = sorted(file for file in _FIXTURES.glob("*/fails.yaml") if file.parent.name not in _NO_VALUES)

_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "word",
    "*",
    "a/b",
    "os.environ/X",
    [],
    ["x", 1],
    {},
    {"a": 1},
    {1: {}},
)


def _rules(text: str, **options: Any) -> list[str]:
    options = {"version": "1.106.2", "environment": None, "name": "x.yaml"} | options
    return [finding.rule for finding in lint(text, **options)]


def _mutations(value: Any) -> Iterator[Any]:
    """The document with each of its values replaced by each odd one."""
    for path in list(_paths(value)):
        for odd in _ODD:
            changed = copy.deepcopy(value)
            holder = changed
            for part in path[:-1]:
                holder = holder[part]
            holder[path[-1]] = copy.deepcopy(odd)
            yield changed


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from _paths(inner, (*path, key))


@pytest.mark.parametrize("file", _READABLE, ids=lambda file: file.parent.name)
def test_no_value_in_any_place_breaks_it(file: Path) -> None:
    for changed in _mutations(yaml.safe_load(file.read_text())):
        for finding in lint(yaml.safe_dump(changed), version="1.96.0", environment={}, name="x.yaml"):
            assert "\n" not in str(finding)


def test_a_thousand_models_take_little_longer_than_their_reading() -> None:
    models = [
        {
            "model_name": f"model-{number}",
            "litellm_params": {
                "model": f"openai/model-{number}",
                "api_base": "http://127.0.0.1:8080/v1",
                "api_key": "os.environ/BACKEND_KEY",
                "order": 1,
                "timeuot": 5,
            },
            "model_info": {"id": f"m{number}", "mode": "chat", "max_input_tokens": 8192},
        }
        for number in range(1000)
    ]
    router = {
        "fallbacks": [{f"model-{number}": [f"model-{(number + 1) % 1000}"]} for number in range(1000)],
        "model_group_alias": {f"alias-{number}": f"model-{number}" for number in range(1000)},
    }
    text = yaml.safe_dump({"model_list": models, "router_settings": router})
    _rules("{}")  # the list of keys is read once
    start = time.process_time()
    yaml.safe_load(text)
    read = time.process_time()
    findings = lint(text, version="1.106.2", environment={}, name="x.yaml")
    # 1.0 to 1.4 times as long, of which the reading is a part. Compared with its like, as processors that others
    # use too take up to four times as long for the same.
    assert time.process_time() - read < 3 * (read - start)
    counts = {finding.rule: finding.count for finding in findings}
    assert counts["misspelled-parameter"] == counts["alias-without-fallbacks"] == 1000


def test_no_finding_tells_a_value_that_could_be_secret() -> None:
    secret = "s3cr3t"
    text = f"""
    model_list:
      - model_name: a
        litellm_params: {{model: openai/x, api_base: "user:{secret}@h", api_key: [{secret}], rpm: {secret},
          weight: {secret}, timeout: {secret}, foo: {secret}, api_version: {{k: {secret}}}}}
        model_info: {{id: 1, max_input_token: {secret}}}
      - model_name: b
        litellm_params: {{model: ollama_chat/x, api_base: "http://user:{secret}@h/v1", api_key: "Bearer os.environ/K"}}
      - {secret}
    litellm_settings: {{callbacks: x, cache_params: {secret}, request_timeout: {secret}, unknown_key: {secret}}}
    router_settings: {{redis_url: "redis://:{secret}@h", redis_password: {secret}, num_retries: {secret}}}
    general_settings: {{master_key: {secret}, database_url: "postgresql://u:{secret}@h/d", num_retries: {secret}}}
    environment_variables: {{A: "${{{secret}}}", B: os.environ/UNSET}}
    """
    findings = lint(text, version="1.106.2", environment={"OTHER": secret}, name="x.yaml")
    assert len({finding.rule for finding in findings}) > 10
    assert [str(finding) for finding in findings if secret in str(finding)] == []


def test_findings_come_in_the_order_of_lines() -> None:
    text = (
        _FIXTURES / "fallback-target-missing" / "fails.yaml"
    ).read_text() + "litellm_settings: {telemtry: 1}\nzz: 1\n"
    lines = [finding.line for finding in lint(text, version="1.106.2", environment={}, name="x.yaml")]
    assert len(lines) > 2
    assert lines == sorted(lines)


def test_a_release_without_a_list_is_judged_by_the_nearest_older_one() -> None:
    assert known_releases() == ("1.84.0", "1.106.2")
    judged = {version: known_to(version).version for version in ("1.83.0", "1.84.0", "1.105.9", "1.106.2", "1.200.0")}
    assert list(judged.values()) == ["1.84.0", "1.84.0", "1.84.0", "1.106.2", "1.106.2"]


def test_versions_may_have_words_behind_the_number() -> None:
    assert parse_version("v1.106.2.rc1") == parse_version("1.106.2") == (1, 106, 2)
    with pytest.raises(ValueError, match=r'"latest" is no version; write e\.g\. 1\.106\.2'):
        parse_version("latest")


def test_a_key_may_be_known_to_one_release_and_not_to_the_next() -> None:
    text = "model_list: []\nlitellm_settings: {telemetry: false}\n"
    assert "unknown-key" not in _rules(text, version="1.84.0")
    assert "unknown-key" in _rules(text, version="1.106.2")


def test_where_models_may_come_from_elsewhere_no_name_is_called_missing() -> None:
    text = (_FIXTURES / "fallback-target-missing" / "fails.yaml").read_text()
    assert "fallback-target-missing" in _rules(text)
    assert "fallback-target-missing" not in _rules(f"{text}general_settings: {{store_model_in_db: true}}\n")
    assert "fallback-target-missing" not in _rules(f"{text}include: [more.yaml]\n")


def test_a_name_is_served_by_a_wildcard_an_alias_or_a_deployment() -> None:
    text = """
    model_list:
      - {model_name: "openai/*", litellm_params: {model: "openai/*", api_key: os.environ/OPENAI_API_KEY}}
      - {model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: k}, model_info: {id: one}}
    router_settings:
      model_group_alias: {b: a, c: openai/gpt-4o}
      fallbacks: [{a: [openai/gpt-4o, b2, one]}, {gpt-4o: [a]}, {"*": [a]}]
      routing_groups: [{group_name: b2, models: [a], routing_strategy: simple-shuffle}]
    """
    missing = {"fallback-target-missing", "fallback-source-missing", "alias-target-missing"}
    assert missing & set(_rules(text)) == set()


def test_an_alias_needs_a_models_name_and_not_a_deployments_id() -> None:
    text = """
    model_list:
      - {model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: k}, model_info: {id: one}}
    router_settings: {model_group_alias: {b: one}}
    """
    assert "alias-target-missing" in _rules(text)


@pytest.mark.parametrize(
    ("version", "outcome"), [("1.96.0", "ends in a TypeError"), ("1.97.0", "drops it in silence"), ("1.106.2", "drops")]
)
def test_an_alias_of_a_list_is_told_as_the_release_takes_it(version: str, outcome: str) -> None:
    text = (_FIXTURES / "alias-shape" / "fails.yaml").read_text()
    [finding] = [f for f in lint(text, version=version, environment=None, name="x") if f.rule == "alias-shape"]
    assert outcome in finding.message


def test_a_variable_that_the_file_sets_itself_comes_too_late() -> None:
    text = (_FIXTURES / "environment-unset" / "fails.yaml").read_text() + "environment_variables: {BACKEND_KEY: x}\n"
    findings = lint(text, version="1.106.2", environment={}, name="x.yaml")
    [finding] = [finding for finding in findings if finding.rule == "environment-unset"]
    assert "no BACKEND_KEY" in finding.message
    assert "too late" in finding.message


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("llama.cpp/x", 'write "openai/x"'),
        ("Qwen/Qwen2.5", '"openai/Qwen/Qwen2.5"'),
        ("hosted_vlm/x", '"hosted_vllm/x"'),
    ],
)
def test_an_unknown_provider_comes_with_the_right_one(word: str, fix: str) -> None:
    entry = f'{{model_name: a, litellm_params: {{model: {word}, api_base: "http://h/v1", api_key: k}}}}'
    findings = lint(f"model_list: [{entry}]\n", version="1.106.2", environment=None, name="x.yaml")
    [finding] = [finding for finding in findings if finding.rule == "unknown-provider"]
    assert fix in finding.fix


def test_an_unknown_custom_llm_provider_is_told_once() -> None:
    rules = _rules("model_list: [{model_name: a, litellm_params: {model: x, custom_llm_provider: nope}}]\n")
    assert [rule for rule in rules if "provider" in rule] == ["unknown-provider"]


def test_an_alias_of_an_alias_that_is_a_model_too_is_no_chain() -> None:
    text = """
    model_list: [{model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: k}}]
    router_settings: {model_group_alias: {b: a, a: a}}
    """
    assert "alias-chain" not in _rules(text)


def test_providers_of_ones_own_are_known() -> None:
    text = """
    model_list: [{model_name: a, litellm_params: {model: mine/x}}]
    litellm_settings: {custom_provider_map: [{provider: mine, custom_handler: handlers.mine}]}
    """
    assert "unknown-provider" not in _rules(text)


def test_the_rules_that_need_the_environment_are_silent_without_it() -> None:
    text = (_FIXTURES / "master-key-missing" / "fails.yaml").read_text()
    assert "master-key-missing" not in _rules(text)
    assert "master-key-missing" in _rules(text, environment={})


def test_most_rules_name_what_was_tried() -> None:
    tried = [rule.id for rule in RULES if "tried" in rule.source]
    assert len(tried) > len(RULES) / 2


def test_a_line_break_in_a_name_breaks_no_line() -> None:
    text = 'model_list: [{model_name: "a\\n\\e[31m", litellm_params: {model: llama_cpp/x}}]\n'
    [finding] = [f for f in lint(text, version="1.106.2", environment=None, name="x") if f.rule == "unknown-provider"]
    assert r'model "a\n\x1b[31m"' in str(finding)
