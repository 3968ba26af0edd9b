"""Configurations as other people write them: each kind that was judged wrongly once, with some of its kin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roles.lint import Finding, lint

_REST = "litellm_settings: {request_timeout: 60}\ngeneral_settings: {master_key: os.environ/LITELLM_MASTER_KEY}\n"
_KEY = {"LITELLM_MASTER_KEY": "sk-Tq9f3LmX7vB2cN8d"}


def _model(model: str, more: str = "", mode: str = "") -> str:
    info = f", model_info: {{mode: {mode}}}" if mode else ""
    return f"model_list:\n  - {{model_name: a, litellm_params: {{model: {model}{more}}}{info}}}\n{_REST}"


def _short(value: str) -> str:
    """A part of a case's name."""
    return value[-14:]


def _lint(text: str, environment: dict[str, str] | None = None) -> list[Finding]:
    return lint(text, version="1.106.2", environment=environment, name="x.yaml")


def _rules(text: str, environment: dict[str, str] | None = None) -> set[str]:
    return {finding.rule for finding in _lint(text, environment)}


@pytest.mark.parametrize(
    "parameters",
    [
        'api_base: "http://${OLLAMA_HOST}:11434/v1", api_key: k',
        'api_base: "http://h/v1", api_key: "${GPU_KEY:-none}"',
        'api_base: "http://h/v1", api_key: "$GPU_KEY"',
        'api_base: "http://$HOST:80/v1", api_key: k',
        'api_base: "http://h/v1", api_key: "$(GPU_KEY)"',
        'api_base: "http://h/v1", api_key: "Bearer ${GPU_KEY}"',
        'api_base: "http://h/v1", api_key: "{{ GPU_KEY }}"',
        'api_base: "http://{{ host }}/v1", api_key: k',
        'api_base: "http://h/v1", api_key: "os.environ/GPU_KEY "',
        'api_base: "http://h/v1", api_key: "os.environ/ GPU_KEY"',
        'api_base: "http://h/v1", api_key: " os.environ/GPU_KEY"',
        'api_base: "http://h/v1", api_key: "OS.ENVIRON/GPU_KEY"',
        'api_base: "http://h/v1", api_key: os.env/GPU_KEY',
        'api_base: "http://h/v1", api_key: env/GPU_KEY',
        'api_base: "http://h/v1", api_key: "%GPU_KEY%"',
        'api_base: "http://h/v1", api_key: "$(cat /run/secrets/k)"',
        'api_base: "http://h/v1", api_key: "%(GPU_KEY)s"',
        'api_base: "http://h/v1", api_key: "op://vault/item/key"',
        'api_base: "http://h/v1", api_key: "vault:secret/data/x#key"',
        'api_base: "http://h/v1", api_key: "${GPU_KEY"',
        'api_base: "http://h/v1", api_key: "$ENV{GPU_KEY}"',
        'api_base: "http://h/v1", api_key: "[[GPU_KEY]]"',
        "api_base: http://h/v1, api_key: \"ENV['GPU_KEY']\"",
        'api_base: "http://h/v1", api_key: env.GPU_KEY',
        'api_base: "http://h/v1", api_key: Env/GPU_KEY',
        'api_base: "http://h/v1", api_key: $$GPU_KEY',
    ],
    ids=lambda text: text.rpartition("api_key: ")[2] + " " + text[11:30],
)
def test_a_variable_in_another_notation(parameters: str) -> None:
    for environment in (None, {"GPU_KEY": "x", "OLLAMA_HOST": "h", **_KEY}):
        findings = _lint(_model("openai/x", f", {parameters}"), environment)
        assert [finding.rule for finding in findings if finding.severity == "error"] == ["environment-notation"]


@pytest.mark.parametrize(
    "parameters",
    [
        "api_key: os.environ/GPU_KEY",
        'api_key: "pa$$w0rd"',
        'api_key: "a$1b"',
        "api_key: k, tags: [env:prod, ENV/x]",
        'api_key: "sk-a@@b"',
        "api_key: key_with__double__x",
        "api_key: __none__",
        'api_key: "100%"',
        'api_key: "$"',
    ],
)
def test_what_is_no_variable(parameters: str) -> None:
    assert "environment-notation" not in _rules(_model("openai/x", f', api_base: "http://h/v1", {parameters}'))


def test_prompts_and_patterns_may_hold_anything() -> None:
    text = f"""{_model("openai/x", ', api_base: "http://h/v1", api_key: k, system_prompt: "Say ${{name}}"')}
mcp_servers: {{s: {{url: "http://h", static_headers: {{A: "${{TOKEN}}"}}}}}}
"""
    assert "environment-notation" not in _rules(text)


@pytest.mark.parametrize(
    ("model", "base", "mode", "wrong"),
    [
        ("hosted_vllm/bge-reranker", "http://h:8001", "rerank", ""),
        ("hosted_vllm/bge-reranker", "http://h:8001/v1", "rerank", ""),
        ("hosted_vllm/bge-reranker-v2-m3", "http://h:8001", "", ""),
        ("hosted_vllm/x", "http://h:8001", "embedding", "vllm-api-base-without-v1"),
        ("hosted_vllm/whisper", "http://h:8001", "audio_transcription", "vllm-api-base-without-v1"),
        ("infinity/x", "http://h:7997", "rerank", ""),
        ("huggingface/x", "http://h:8080", "rerank", ""),
        ("huggingface/x", "http://h:8080/v1", "rerank", "api-base-with-version"),
        ("litellm_proxy/x", "http://h:4000/v1", "rerank", "api-base-with-version"),
        ("openai/x", "http://h:8000/v1", "rerank", "provider-without-mode"),
        ("ollama_chat/x", "http://h:11434", "embedding", "provider-without-mode"),
        ("ollama/nomic-embed-text", "http://h:11434", "embedding", ""),
        ("ollama_chat/x", "http://h:11434/api", "", "ollama-api-base-with-path"),
        ("anthropic/claude-sonnet-4-5", "https://gate.example.org/v1", "", "api-base-with-version"),
        ("anthropic/claude-sonnet-4-5", "https://gate.example.org/v1/", "", "api-base-with-version"),
        ("anthropic/claude-sonnet-4-5", "https://gate.example.org/anthropic", "", ""),
        ("lm_studio/x", "http://h:1234", "", "server-api-base-without-v1"),
        ("llamafile/x", "http://h:8080/v1/chat/completions", "", "api-base-with-endpoint"),
        ("openrouter/x", "https://openrouter.ai/v1", "", "openrouter-api-base"),
        ("azure/x", "https://n.openai.azure.com/openai/v1", "", "azure-api-base-with-path"),
        ("localai/x", "http://h:8080/v1", "", "unknown-provider"),
        ("sglang/x", "http://h:30000/v1", "", "unknown-provider"),
        ("tgi/x", "http://h:8080", "", "unknown-provider"),
    ],
    ids=_short,
)
def test_an_address_is_judged_by_provider_and_mode(model: str, base: str, mode: str, wrong: str) -> None:
    findings = _lint(_model(model, f', api_base: "{base}", api_key: k', mode))
    assert [finding.rule for finding in findings if finding.severity == "error"] == ([wrong] if wrong else [])


def test_ollama_has_a_default_address() -> None:
    text = _model("ollama_chat/llama3.2")
    [finding] = [one for one in _lint(text) if one.rule == "api-base-by-default"]
    assert finding.severity == "warning"
    assert "http://localhost:11434" in finding.message
    assert "api-base-by-default" in _rules(text, _KEY)
    assert _rules(text, {"OLLAMA_API_BASE": "http://gpu.lan:11434", **_KEY}) == set()
    assert "api-base-by-default" not in _rules(f"{text}environment_variables: {{OLLAMA_API_BASE: http://h:11434}}\n")


@pytest.mark.parametrize(
    ("model", "variable"),
    [("hosted_vllm/x", "HOSTED_VLLM_API_BASE"), ("lm_studio/x", "LM_STUDIO_API_BASE"), ("azure/x", "AZURE_API_BASE")],
)
def test_a_server_without_an_address_needs_the_variable(model: str, variable: str) -> None:
    assert "api-base-missing" in _rules(_model(model), _KEY)
    assert "api-base-missing" not in _rules(_model(model), {variable: "http://h:8000/v1", **_KEY})


@pytest.mark.parametrize(
    ("model", "value", "rule"),
    [
        ("ollama_chat/x", "h:11434", "api-base-without-scheme"),
        ("ollama_chat/x", "http://h:11434/v1", "ollama-api-base-with-path"),
        ("hosted_vllm/x", "http://h:8000", "vllm-api-base-without-v1"),
        ("openai/x", "http://s3cr3t@h/v1/chat/completions", "api-base-with-endpoint"),
    ],
    ids=_short,
)
def test_an_address_from_the_environment_is_judged_too(model: str, value: str, rule: str) -> None:
    findings = _lint(_model(model, ", api_base: os.environ/BASE, api_key: k"), {"BASE": value, **_KEY})
    assert rule in {finding.rule for finding in findings}
    assert not any(value in str(finding) for finding in findings)


@pytest.mark.parametrize(
    ("limit", "at_once"), [("tpm: 300", 1), ("rpm: 2", 2), ("tpm: 100000", 600), ("rpm: 60, tpm: 300", 60)]
)
def test_a_limit_is_also_the_number_of_requests_at_the_same_time(limit: str, at_once: int) -> None:
    text = _model("openai/gpt-4o", f", {limit}")
    [finding] = [one for one in _lint(text) if one.rule == "rate-limit-not-enforced"]
    assert f"also the number of requests at the same time ({at_once})" in finding.message
    own = _model("openai/gpt-4o", f", {limit}, max_parallel_requests: 50")
    [finding] = [one for one in _lint(own) if one.rule == "rate-limit-not-enforced"]
    assert "at the same time" not in finding.message


@pytest.mark.parametrize("parameter", ["rpm: .inf", "tpm: .nan", f"max_budget: {10**400}"], ids=["inf", "nan", "large"])
def test_a_number_that_is_none_is_reported(parameter: str) -> None:
    assert "value-drops-deployment" in _rules(_model("openai/gpt-4o", f", {parameter}"))


@pytest.mark.parametrize(
    ("entry", "home"),
    [
        ("litellm_settings: {success_callback: [langsmith]}", "the top of the file"),
        ("router_settings: {num_retries: 3}", "the top of the file"),
        ("credential_list: [{credential_name: c}]", "the top of the file"),
        ("model_group_alias: {g: a}", "router_settings"),
        ("mode: embedding", "model_info"),
    ],
    ids=_short,
)
def test_a_section_within_a_model_is_misplaced(entry: str, home: str) -> None:
    text = f"model_list:\n  - model_name: a\n    litellm_params: {{model: openai/gpt-4o}}\n    {entry}\n{_REST}"
    [finding] = [one for one in _lint(text) if one.rule == "misplaced-key"]
    assert (finding.severity, finding.line) == ("error", 4)
    assert home in finding.message


@pytest.mark.parametrize("where", ["litellm", "config", "proxy"])
def test_sections_below_a_word_are_misplaced(where: str) -> None:
    inner = "  model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o}}]\n"
    text = f"{where}:\n{inner}general_settings: {{master_key: os.environ/LITELLM_MASTER_KEY}}\n"
    assert "misplaced-key" in _rules(text)


def test_a_hint_does_not_change_the_meaning() -> None:
    text = """server_settings: {port: 4000}
model_list:
  - model_name: a
    litellm_params: {model: openai/gpt-4o}
    model_info: {input_cost_per_token_above_256k_tokens: 0.000001}
alerting: {alertmanagers: []}
router_settings: {strategy: least-busy, min_retries: 1, otpm: 5, port: 4000}
litellm_settings: {request_timeout: 60, output_callback: []}
"""
    findings = _lint(text)
    hints = {finding.path: finding.fix for finding in findings if "did you mean" in finding.fix}
    assert hints == {"router_settings.strategy": 'did you mean "routing_strategy"?'}
    [section] = [finding for finding in findings if finding.path == "server_settings"]
    assert "general_settings" in section.fix
    [alerting] = [finding for finding in findings if finding.path == "alerting"]
    assert "general_settings" not in str(alerting)


@pytest.mark.parametrize("name", ["DEFAULT_MAX_RECURSE_DEPTH", "ROUTER_MAX_FALLBACKS", "AIOHTTP_CONNECTOR_LIMIT"])
def test_a_constant_in_the_file_comes_too_late(name: str) -> None:
    text = f'{_model("openai/gpt-4o")}environment_variables: {{{name}: "200", LANGFUSE_HOST: "http://h"}}\n'
    [finding] = [one for one in _lint(text) if one.rule == "environment-too-late"]
    assert (finding.severity, finding.path) == ("warning", f"environment_variables.{name}")


def _seconds(text: str) -> tuple[float, list[Finding]]:
    begin = time.process_time()
    findings = _lint(text)
    return time.process_time() - begin, findings


def test_like_findings_are_one_with_a_count() -> None:
    names = [f"provider/model-{number}" for number in range(1500)]
    models = "\n".join(f"  - {{model_name: {name}, litellm_params: {{model: openai/x}}}}" for name in names)
    chains = "\n".join(f"    - {{{name}: [{name.replace('model', 'modle')}-latest]}}" for name in names)
    text = f"model_list:\n{models}\nrouter_settings:\n  fallbacks:\n{chains}\n{_REST}"
    took, findings = _seconds(text)
    [missing] = [finding for finding in findings if finding.rule == "fallback-target-missing"]
    assert missing.count == 1500
    assert "(and 1,499 more like it: lines" in missing.message
    assert took < 5, "1,500 bad names took 52 s once; now they take 0.3"


@pytest.mark.parametrize(
    "line",
    [
        "      - {model_name: m%d, litellm_params: {model: openai/x, timeuot%d: 1}}",
        "      - {model_name: m%d, litellm_params: {model: nope-%d}}",
        "      - {model_name: m%d, litellm_params: {model: openai/x}, model_info: {max_input_token_%d: 1}}",
        "      - {model_name: 'a*%d*', litellm_params: {model: openai/x, zebra%d: 2}}",
    ],
    ids=["parameters", "providers", "information", "patterns"],
)
def test_thousands_of_other_mistakes_take_no_time(line: str) -> None:
    models = "\n".join(line % (number, number) for number in range(3000))
    took, findings = _seconds(f"model_list:\n{models}\n{_REST}")
    assert len(findings) < 50
    assert took < 8


_LARGE = """  - model_name: m%d
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      api_base: https://api.openai.com/v1
    model_info: {mode: chat, max_input_tokens: 128000}
"""


def _large(models: int) -> str:
    return "model_list:\n" + "".join(_LARGE % number for number in range(models)) + _REST


def test_the_time_grows_as_the_file_does() -> None:
    _lint(_large(1))  # the lists of keys are read once
    small, large = _large(7_000), _large(28_000)
    took = {text: min(_seconds(text)[0] for _ in range(2)) for text in (small, large)}
    # Four times the file: 3.9 to 4.3 times as long. Compared with its like: processors that others use are slower.
    assert took[large] < 8 * took[small]


_BOUNDS = """
import re, sys, time
from roles.lint.__main__ import main
status = main(["large.yaml", "--json"])
# Of this program alone: getrusage() would count what the test's own process had when it began this one.
peak = re.search("VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1]
print(status, time.process_time(), int(peak) * 1024, file=sys.stderr)
"""


def test_10_mb_are_looked_at_within_300_mb(tmp_path: Path) -> None:
    text = _large(56_000)
    assert len(text) > 10e6
    (tmp_path / "large.yaml").write_text(text)
    place = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDS], capture_output=True, text=True, check=True, cwd=tmp_path, env=place
    )
    status, seconds, memory = map(float, done.stderr.split())
    assert (status, done.stdout) == (0, "[]\n")
    assert memory < 300e6, "174 MB were seen, and 560 MB with a tree of nodes"
    assert seconds < 12, "docs/lint.md has what a quiet machine takes, and how it was measured"


def _run(*arguments: str, text: str = "", folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "roles.lint", *arguments]
    place = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]}
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, cwd=folder, env=place, timeout=60
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.write_bytes(b"a: \0\n"), ""),
        (lambda path: path.write_bytes(b"a: \xff\n"), "it is not UTF-8"),
    ],
    ids=["device", "pipe", "folder", "link to itself", "NUL", "no UTF-8"],
)
def test_an_include_that_is_no_file_of_words(tmp_path: Path, make: object, reason: str) -> None:
    make(tmp_path / "more.yaml")  # type: ignore[operator]
    (tmp_path / "config.yaml").write_text(f"{_model('llama_cpp/x')}include: [more.yaml]\n")
    done = _run("config.yaml", folder=tmp_path)
    assert reason in done.stdout
    assert "[unknown-provider]" in done.stdout, "the rest is checked too"
    assert "does not start" in done.stdout
    assert done.stderr == ""


def test_an_include_that_is_too_large_for_the_lint_is_said_to_be(tmp_path: Path) -> None:
    os.truncate(os.open(tmp_path / "more.yaml", os.O_CREAT | os.O_RDWR), 1 << 40)
    (tmp_path / "config.yaml").write_text(f"{_model('llama_cpp/x')}include: [more.yaml]\n")
    done = _run("config.yaml", folder=tmp_path)
    assert "was not read: it has more than 64 MiB" in done.stdout
    assert "[include-not-followed]" in done.stdout
    assert "does not start" not in done.stdout, "LiteLLM reads it"


def test_files_that_include_each_other_by_new_names_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "config.yaml").write_text(f"{_model('openai/x')}include: [loop/config.yaml]\n")
    done = _run("config.yaml", folder=tmp_path)
    assert done.returncode in (1, 2)
    assert "[include-missing]" in done.stdout


def test_a_template_is_named() -> None:
    findings = _lint("model_list:\n{{- range .Values.models }}\n  - model_name: {{ .name }}\n{{- end }}\n")
    assert "this looks like a template" in findings[0].message
