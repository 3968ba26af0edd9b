"""The stand-in for Ollama answers as the real server was recorded to answer; here, all that needs no llama-server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from tests.ollama_stand_in.process import StandIn, running
from tests.ollama_stand_in.registry import ModelRegistry, RegistryFaults, publish
from tests.ollama_stand_in.replay import RECORDED, Replay, recorded
from tests.ports import refusing_port

CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"

LEFT_OUT = {
    "01-empty-server/034-*": "/v1/responses: nobody here uses it",
    "01-empty-server/035-*": "/v1/messages: nobody here uses it",
    "01-empty-server/042-*": "/api/push: nobody here uses it",
    "01-empty-server/046-*": "the stand-in creates from models that are there, it does not pull one for it",
    "02-blobs-create/024-*": "022 with the vocabulary; test_a_verbose_show_tells_the_vocabulary",
    "04-inference/037-*": "another part of it is cut; tests/lab: test_a_prompt_that_is_too_long_is_cut",
    "04-inference/041-*": "what a tiny model says where it must say JSON is left to chance",
    "04-inference/042-*": "images are ignored",
    "04-inference/044-*": "log probabilities are ignored",
    "05-openai/010-*": "log probabilities are ignored",
    "05-openai/019-*": "/v1/responses: nobody here uses it",
    "05-openai/020-*": "/v1/responses: nobody here uses it",
    "05-openai/021-*": "/v1/messages: nobody here uses it",
    "05-openai/022-*": "/v1/messages: nobody here uses it",
    "07-cli/001-*": "test_the_program_tells_its_version",
    "07-cli/004-*": "test_the_program_lists_models",
    "07-cli/025-*": "test_the_program_says_that_no_server_runs",
    "07-cli/*": "the stand-in's program only serves, lists and tells its version",
    "08-pull/00[12]-*": "asks the public registry; test_a_registry_whose_name_is_unknown_is_told",
    "08-pull/0[23][0-9]-*big*": "250 MB each; test_pull.py: resumed, cut, corrupt, without ranges, two at once",
    "08-pull/040-*": "deletes what those left",
    "08-pull/big-*.partial": "what a hung-up pull had sent by then: lines of progress",
    "08-pull/files-on-disk": "test_what_a_broken_off_pull_leaves_on_disk_is_gone_on_with",
    "08-pull/registry-requests": "test_the_registry_is_asked_as_the_real_server_asks",
    "09-embedding/005-*": "lists models that earlier parts of the recording left",
    "09-embedding/013-*": "tests/lab: test_a_text_that_is_too_long_to_embed_is_refused_or_cut",
    "09-embedding/014-*": "tests/lab: test_a_text_that_is_too_long_to_embed_is_refused_or_cut",
    "10-runtime/002-*": "shows a model that earlier parts left loaded; tests/lab: test_models_are_loaded_and_unloaded",
    "10-runtime/00[4567]-*": "a large model of other weights, and `ollama stop`",
    "10-runtime/00[89]-*": "a long answer of that model",
    "10-runtime/01?-*": "long answers of that model; tests/lab: test_an_answer_breaks_off_when_the_server_ends",
    "10-runtime/02[0-5]-*": "the same for other signals",
    "10-runtime/03?-*": "tests/lab: test_the_queue_has_an_end",
    "10-runtime/04[0-3]-*": "tests/lab: test_the_queue_has_an_end",
    "10-runtime/04[5679]-*": "cloud models",
    "10-runtime/05[0-2]-*": "cloud models",
    "10-runtime/059-*": "loads the large model",
    "10-runtime/06?-*": "of the large model; tests/lab: test_a_crash_of_the_child_is_told_or_hidden",
    "11-litellm-in-front/*": "LiteLLM's answers, not Ollama's",
    "12-misc/00[13]-*": "uploads of the files that 002 and 004 create from",
    "12-misc/004-*": "of that upload; test_an_unknown_architecture_is_refused_and_its_name_is_in_the_log_alone",
    "12-misc/006-*": "test_an_upload_that_breaks_off_leaves_nothing",
    "12-misc/007-*": "lists models that earlier parts left; test_times_are_told_in_the_machines_time_zone",
    "12-misc/01[0357]-*": "lists models that earlier parts left; test_a_damaged_model_is_not_listed",
    "12-misc/021-*": "tells the folders of the recording; test_a_missing_llama_server_is_told",
    "90-create-without-llama-quantize/*": "the stand-in has no llama-quantize to miss",
    "91-pull-*": "test_a_registry_that_serves_blobs_itself_is_not_understood",
}
"""Recorded exchanges that are not in the repository, or not replayed."""


def test_every_recorded_exchange_is_here_or_left_out_for_a_reason() -> None:
    here = {exchange.name for path in RECORDED.glob("*.jsonl") for exchange in recorded(path.stem)}
    for name in (RECORDED / "all.txt").read_text().split():
        reasons = [pattern for pattern in LEFT_OUT if fnmatch(name, pattern)]
        assert (name in here) != bool(reasons), f"{name}: recorded here, and left out, or neither"


def replay(stand_in: StandIn, ggufs: dict[str, Path], **translated: str) -> Replay:
    bodies = {name: path.read_bytes() for name, path in ggufs.items()}
    bodies["truncated-gguf"] = bodies["say.gguf"][:200000]
    digests = {
        "0e83d3086bf05f5a63f6d007498d00ae03aba5f29ec1be0232b96abd395758b7": sha256(bodies["say.gguf"]),
        "b1d73c40616766efc830d5f2839de5a52656dde29af5e122bbeb6ae2c863f5f3": sha256(bodies["say2.gguf"]),
        "9e26552cf5d870f51980bd67cf244a4fa206cd22f864a015be4e3ba790874098": sha256(bodies["truncated-gguf"]),
    }
    places = {"/srv/ollama-build/models": str(stand_in.models)}
    return Replay(stand_in.port, bodies, {**digests, **places, **translated}, stand_in.models / "blobs")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_server_without_models_answers_as_recorded(stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    assert replay(stand_in, ggufs).differences(recorded("01-empty-server")) == []


def test_models_are_created_shown_copied_and_deleted_as_recorded(stand_in: StandIn, ggufs: dict[str, Path]) -> None:
    asked = replay(stand_in, ggufs)
    assert asked.differences(recorded("02-blobs-create")) == []
    assert asked.differences(recorded("03-blobs-create-more")) == []
    of_loaded_models = [f"{number:03}" for number in range(9, 16)]  # in tests/lab
    assert asked.differences(recorded("06-copy-delete"), left_out=of_loaded_models) == []


def test_models_are_pulled_as_recorded(stand_in: StandIn, ggufs: dict[str, Path], registry: ModelRegistry) -> None:
    """From a registry with the models and the faults of the recording."""
    other, missing = registry.folder / "other.gguf", registry.folder / "missing.gguf"
    other.write_bytes(ggufs["say.gguf"].read_bytes() + b"another")
    missing.write_bytes(ggufs["say.gguf"].read_bytes() + b"missing")

    def publish_model(model: str, tag: str, gguf: Path) -> None:
        name = f"library/{model}"
        publish(registry.folder, name, tag, gguf, CHATML, license="MIT", parameters={"temperature": 0})

    publish_model("small", "latest", ggufs["say.gguf"])
    publish_model("small", "v2", ggufs["say2.gguf"])
    publish_model("corrupt", "latest", other)
    publish_model("missingblob", "latest", missing)
    (registry.folder / "blobs" / f"sha256:{sha256(missing.read_bytes())}").unlink()

    faults = {
        "015": RegistryFaults(refuse_manifest_with=500, refusal="boom"),
        "016": RegistryFaults(refuse_manifest_with=429, refusal='{"errors":[{"code":"TOOMANYREQUESTS"}]}'),
        "017": RegistryFaults(refuse_manifest_with=401),
        "018": RegistryFaults(manifest_text=b"not json"),
    }
    needs_llama_server = {"020", "021", "023"}  # in tests/lab
    with refusing_port() as port:
        nobody = f"127.0.0.1:{port}"
        asked = replay(stand_in, ggufs, **{"127.0.0.1:27500": registry.host, "127.0.0.1:27599": nobody})
        for exchange in recorded("08-pull"):
            number = exchange.name.rpartition("/")[2][:3]
            registry.faults = faults.get(number, RegistryFaults())
            if number == "024":
                publish_model("small", "latest", ggufs["say2.gguf"])
            if number not in needs_llama_server:
                assert asked.differences_of(exchange) == []


def test_damaged_models_and_strange_requests_are_answered_as_recorded(
    stand_in: StandIn, ggufs: dict[str, Path]
) -> None:
    """What the recorder did to the files between two requests is done here before the same request."""
    asked = replay(stand_in, ggufs)
    assert asked.differences(recorded("02-blobs-create")[:6]) == []  # uploads and creates `say`
    truncated = asked.bodies["truncated-gguf"]
    (stand_in.models / "blobs" / f"sha256-{sha256(truncated)}").write_bytes(truncated)
    layer = stand_in.models / "blobs" / f"sha256-{sha256(asked.bodies['say.gguf'] + bytes(32))}"
    before: dict[str, Callable[[], object]] = {
        "011": lambda: broken_manifest(stand_in).write_text("{not json"),
        "015": lambda: broken_manifest(stand_in).unlink(),
        "018": lambda: layer.rename(layer.with_suffix(".away")),
        "022": lambda: layer.with_suffix(".away").rename(layer),
    }
    needs_llama_server = {"008", "009", "023", "024"}  # in tests/lab
    for exchange in recorded("12-misc"):
        number = exchange.name.rpartition("/")[2][:3]
        before.get(number, lambda: None)()
        if number not in needs_llama_server:
            assert asked.differences_of(exchange) == []


def broken_manifest(stand_in: StandIn) -> Path:
    path = stand_in.models / "manifests/registry.ollama.ai/library/broken/latest"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_whether_the_cloud_is_allowed_is_told_as_recorded(tree: Path, tmp_path: Path) -> None:
    denied, allowed = (exchange for exchange in recorded("10-runtime") if "status" in exchange.name)
    with running(tree, tmp_path / "denied", OLLAMA_NO_CLOUD="1") as stand_in:
        assert Replay(stand_in.port).differences_of(denied) == []
    with running(tree, tmp_path / "allowed") as stand_in:
        assert Replay(stand_in.port).differences_of(allowed) == []
