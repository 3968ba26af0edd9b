"""The verifier reads the files of a generation, and says which one is wrong, and where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from roles.contract.environment_file import parse_environment, parse_environment_block
from roles.verify import ConfigError, load_generation
from roles.verify.generation import CardWeights, Deployment, Gateway, Probe, Service
from roles.verify.verdict.claim import CannotCheck
from tests.deployed import route

PROVIDERS = """
scope: user
timer: ai-backend-verify.timer
disks: [/home/alice/.local/share/ai-backend]
state: {folder}/state
gateway:
  url: http://127.0.0.1:4000/
  key_file: {folder}/key.env
  key_variable: LITELLM_MASTER_KEY
  instance_key_file: {folder}/instance-key.env
  instance_key_variable: INSTANCE_KEY
  instance_url: http://127.0.0.1:4001
  cooldown: 30
  unit: litellm.service
  bind: 127.0.0.1
  port: 4000
  ready_url: http://127.0.0.1:4000/health/liveliness
  start_timeout: 180
  instances: []
  front: null
providers:
- name: qwen-coder
  kind: vllm
  api_base: http://127.0.0.1:8001/v1
  models: [qwen-coder-vllm]
  tasks: []
  unit: vllm@qwen-coder.service
  bind: 0.0.0.0
  port: 8001
  ready_url: http://127.0.0.1:8001/health
  start_timeout: 900
tasks:
- unit: ollama-models.service
  done_file: ai-backend-ollama-models/done
  start_timeout: 300
  effect_command: []
"""
MAPPINGS = """
models:
- name: qwen-coder-vllm
  mode: chat
  deployments:
  - {id: qwen-coder-vllm@qwen-coder, provider: qwen-coder, model: qwen-coder-vllm,
     api_base: "http://127.0.0.1:8001/v1", weight: 1, order: 1}
  aliases: [gpt-4o]
  tools: true
  structured_outputs: false
  balance: false
  fallbacks: []
  context_window_fallbacks: []
  content_policy_fallbacks: [other]
  probe: {prompt: "Who are you?", expects: null, max_tokens: 64, timeout: 120}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "generations" / "1f0c"
    (folder / "units").mkdir(parents=True)
    (folder / "providers.yaml").write_text(PROVIDERS.format(folder=folder))
    (folder / "model-mappings.yaml").write_text(MAPPINGS)
    (folder / "key.env").write_text('LITELLM_MASTER_KEY="sk-secret"\n')
    (folder / "units/litellm.service").write_text("[Service]\nEnvironment=AI_BACKEND_DIGEST=abc\n")
    link = tmp_path / "ai-backend"
    link.symlink_to(folder)
    return link


def test_what_must_be_on_cards_is_read_and_not_missed_in_an_older_generation(config: Path) -> None:
    (provider,) = load_generation(config).providers
    assert provider.weights == ()
    with (config / "providers.yaml").open("r+") as file:
        text = file.read()
        file.seek(0)
        weights = "weights: [{file: /m.gguf, layers: null, if_free: true}, {file: /n.gguf, layers: 20, if_free: false}]"
        file.write(text.replace("  kind: vllm\n", f"  kind: vllm\n  {weights}\n"))
    (provider,) = load_generation(config).providers
    assert provider.weights == (CardWeights(Path("/m.gguf"), None, True), CardWeights(Path("/n.gguf"), 20, False))


def test_a_generation_is_read_as_it_lies_there(config: Path) -> None:
    generation = load_generation(config)
    gateway, vllm = generation.services
    assert (generation.name, generation.scope) == ("1f0c", "user")
    assert isinstance(generation.gateway, Gateway)
    assert generation.gateway.url == "http://127.0.0.1:4000"
    assert generation.gateway.key() == "sk-secret"
    assert gateway.wanted_digest() == "abc"
    assert vllm == Service(
        unit="vllm@qwen-coder.service",
        bind="0.0.0.0",
        port=8001,
        ready_url="http://127.0.0.1:8001/health",
        start_timeout=900,
        unit_file=config.resolve() / "units/vllm@qwen-coder.service",
    )
    assert generation.routes == (
        route(
            "qwen-coder-vllm",
            (
                Deployment(
                    "qwen-coder-vllm@qwen-coder", "http://127.0.0.1:8001/v1", "qwen-coder", model="qwen-coder-vllm"
                ),
            ),
            Probe("Who are you?", None, 64, 120),
            aliases=("gpt-4o",),
            tools=True,
            content_policy_fallbacks=("other",),
        ),
    )


def test_a_generation_that_is_tried_out_is_asked_with_its_own_keys(config: Path, tmp_path: Path) -> None:
    """The link leads to the one that runs, and what is rotated differs in the two."""
    providers = yaml.safe_load(PROVIDERS.format(folder=tmp_path))
    providers["gateway"]["key_file"] = "env/litellm.service.env"
    providers["cache"] = {
        **{key: providers["gateway"][key] for key in ("unit", "bind", "port", "ready_url", "start_timeout")},
        **{"cooldown": 10, "password_file": "env/redis.env", "password_variable": "REDIS_PASSWORD"},
    }
    new = config.resolve().with_name("2a1d")
    shutil.copytree(config.resolve(), new)
    for folder, word in ((config.resolve(), "old"), (new, "new")):
        (folder / "providers.yaml").write_text(yaml.safe_dump(providers))
        (folder / "env").mkdir()
        (folder / "env/litellm.service.env").write_text(f'LITELLM_MASTER_KEY="sk-{word}"\n')
        (folder / "env/redis.env").write_text(f'REDIS_PASSWORD="{word}"\n')
        (folder / "units/litellm.service").write_text(f"Environment=AI_BACKEND_DIGEST={word}\n")
    staged, active = load_generation(new), load_generation(config)
    config.unlink()
    config.symlink_to(new)  # a deploy that switches while a verification is under way
    for generation, word in ((staged, "new"), (active, "old")):
        assert generation.gateway
        assert generation.cache
        seen = (generation.gateway.key(), generation.cache.password(), generation.gateway.service.wanted_digest())
        assert seen == (f"sk-{word}", word, word)


def test_a_missing_unit_file_is_no_config_error(config: Path) -> None:
    """It leaves one check unknown, not the whole verdict."""
    vllm = load_generation(config).providers[0].service
    with pytest.raises(CannotCheck, match=r"vllm@qwen-coder\.service: No such file"):
        vllm.wanted_digest()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param('OTHER="x"\n', "has no LITELLM_MASTER_KEY", id="another variable"),
        pytest.param('LITELLM_MASTER_KEY=""\n', "is empty or no plain ASCII word", id="empty"),
        pytest.param('LITELLM_MASTER_KEY="sk-s3cret\nmore"\n', "is empty or no plain ASCII word", id="two lines"),
    ],
)
def test_a_key_that_no_header_can_carry_is_told_without_showing_it(config: Path, content: str, reason: str) -> None:
    (config / "key.env").write_text(content)
    gateway = load_generation(config).gateway
    assert gateway
    with pytest.raises(CannotCheck, match=reason) as caught:
        gateway.key()
    assert "s3cret" not in str(caught.value)


def test_a_host_without_a_gateway_can_be_read(config: Path) -> None:
    providers = yaml.safe_load((config / "providers.yaml").read_text())
    del providers["gateway"]
    (config / "providers.yaml").write_text(yaml.safe_dump(providers))
    generation = load_generation(config)
    assert generation.gateway is None
    assert [service.unit for service in generation.services] == ["vllm@qwen-coder.service"]


def test_what_is_no_generation_is_refused(config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: No such file or directory"):
        load_generation(tmp_path / "nowhere")
    assert load_generation(config.readlink()).name == "1f0c"  # the generation itself, before it is switched to
    shutil.rmtree(config.readlink())
    with pytest.raises(ConfigError, match="ai-backend: No such file or directory"):
        load_generation(config)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "providers.yaml",
            "scope: user",
            "scope: galaxy",
            "scope is 'galaxy', not one of system, user",
            id="no such scope",
        ),
        pytest.param(
            "providers.yaml",
            "port: 8001",
            "port: high",
            r"providers\[0\] port is 'high', not a number",
            id="a port that is a word",
        ),
        pytest.param("providers.yaml", "  port: 4000\n", "", r"providers.yaml: gateway lacks port", id="no port"),
        pytest.param("providers.yaml", "scope: user", "scope: [", "providers.yaml: while parsing", id="no YAML"),
        pytest.param(
            "model-mappings.yaml",
            "aliases: [gpt-4o]",
            "aliases: [4]",
            r"models\[0\] aliases must be a list of",
            id="an alias that is a number",
        ),
        pytest.param(
            "model-mappings.yaml", "mode: chat", "mode: dance", r"models\[0\] mode is 'dance'", id="no such mode"
        ),
        pytest.param(
            "model-mappings.yaml", MAPPINGS, "- models", r"model-mappings.yaml: must be a mapping", id="no mapping"
        ),
    ],
)
def test_a_broken_file_is_named_with_the_place_in_it(config: Path, file: str, old: str, new: str, message: str) -> None:
    text = (config / file).read_text()
    assert old in text
    (config / file).write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_generation(config)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        pytest.param('A="one"\nB="two"\n', {"A": "one", "B": "two"}, id="two variables"),
        pytest.param(r'A="a\"b\\c\`d\$e"', {"A": r'a"b\c`d$e'}, id="escapes"),
        pytest.param(r'A="C:\new"', {"A": r"C:\new"}, id="a backslash"),
        pytest.param('A="one\nB=two"\nC="three"', {"A": "one\nB=two", "C": "three"}, id="two lines"),
        pytest.param("# A=comment\n; B=comment\nC=plain  \n\nnonsense\n", {"C": "plain"}, id="comments and nonsense"),
        pytest.param('A="="', {"A": "="}, id="an equals sign"),
        pytest.param('A=""', {"A": ""}, id="an empty value"),
        pytest.param('A="never closed\n', {}, id="a quote that is never closed"),
        pytest.param("", {}, id="an empty file"),
    ],
)
def test_environment_files_read_as_systemd_reads_them(text: str, variables: dict[str, str]) -> None:
    assert parse_environment(text) == variables


def test_the_environment_of_a_process_is_split_at_nul_bytes() -> None:
    assert parse_environment_block(b"A=1\0B=x=y\n\0junk\0C=\xff\0") == {"A": "1", "B": "x=y\n", "C": "\\xff"}
