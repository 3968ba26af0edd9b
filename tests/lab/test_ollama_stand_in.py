"""The stand-in for Ollama answers as the real server was recorded to answer, where a model has to answer.

No lab host is needed, but a compiled llama-server: what the other tests of the stand-in do without. Where
`OLLAMA_ARCHIVE` names a real release, that has to answer as it was recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest

from tests.lab.ollama import ollama_tree
from tests.labhost import Lab
from tests.labhost.models import tool_call_sentence, write_tiny_gguf
from tests.ollama_stand_in.process import StandIn, running
from tests.ollama_stand_in.registry import ModelRegistry, publish
from tests.ollama_stand_in.replay import Exchange, Replay, Response, ask, pieces_of, recorded, send

CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
RECORDED_UPLOADS = {
    "say.gguf": "0e83d3086bf05f5a63f6d007498d00ae03aba5f29ec1be0232b96abd395758b7",
    "say2.gguf": "b1d73c40616766efc830d5f2839de5a52656dde29af5e122bbeb6ae2c863f5f3",
    "emb.gguf": "baee7c213380fecf9f558f698487048d83ca49a715b6e2673917675234ce33e9",
}


_ENDLESS = 100_000
"""Tokens: many seconds of talk."""

Pieces = Generator[str, None, None]


@pytest.fixture(scope="session")
def tree(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive."""
    tree = tmp_path_factory.mktemp("archive") / "tree"
    ollama_tree(lab, tree)
    return tree


@pytest.fixture(scope="session")
def ggufs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Models like those of the recording, by the names that they have there, and one that never stops talking."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_gguf(folder / "say.gguf", says="Paris is the capital city of France.", name="tiny-test")
    write_tiny_gguf(folder / "say2.gguf", says="Berlin is the capital city of Germany.", name="tiny-test")
    write_embedding_gguf(folder / "say.gguf", folder / "emb.gguf")
    write_endless_gguf(folder / "say.gguf", folder / "endless.gguf")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_embedding_gguf(source: Path, target: Path) -> None:
    """The same model, for embeddings: the mean of the tokens' vectors."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind, of = [*field.types, field.types[0]][:2]
            writer.add_key_value(name, field.contents(), kind, sub_type=of)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_endless_gguf(source: Path, target: Path) -> None:
    """The same model, whose last word leads to the first one again: it talks until its context is full."""
    target.write_bytes(source.read_bytes())
    reader = gguf.GGUFReader(target, "r+")
    vocabulary = reader.fields["tokenizer.ggml.tokens"].contents()
    output = next(tensor.data for tensor in reader.tensors if tensor.name == "output.weight")
    first, end = vocabulary.index("Paris"), vocabulary.index("</s>")
    output[first] += output[end]
    output[end] = 0
    reader.fields["llama.context_length"].parts[-1][0] = _ENDLESS
    reader.data.flush()


@pytest.fixture
def stand_in(tree: Path, tmp_path: Path) -> Iterator[StandIn]:
    with running(tree, tmp_path) as started:
        yield started


def replay(stand_in: StandIn, ggufs: dict[str, bytes]) -> Replay:
    digests = {digest: hashlib.sha256(ggufs[name]).hexdigest() for name, digest in RECORDED_UPLOADS.items()}
    return Replay(stand_in.port, ggufs, {**digests, "/srv/ollama-build/models": str(stand_in.models)})


def native(stand_in: StandIn, path: str, request: dict[str, Any], method: str = "POST") -> Response:
    return ask(stand_in.port, {"method": method, "path": path, "body": json.dumps(request)})


def upload(stand_in: StandIn, name: str, data: bytes) -> None:
    """Create a model of a file."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    ask(stand_in.port, {"method": "POST", "path": f"/api/blobs/{digest}"}, data)
    parameters = {"num_ctx": _ENDLESS} if name == "endless" else {}
    request = {"model": name, "files": {"model.gguf": digest}, "parameters": parameters}
    assert json.loads(native(stand_in, "/api/create", request).pieces[-1]) == {"status": "success"}


def loaded(stand_in: StandIn) -> list[dict[str, Any]]:
    answer = ask(stand_in.port, {"method": "GET", "path": "/api/ps"})
    models: list[dict[str, Any]] = json.loads(answer.pieces[0])["models"]
    return models


def create_the_recorded_models(asked: Replay) -> None:
    asked.differences([*recorded("02-blobs-create"), *recorded("03-blobs-create-more")])


def test_chats_loads_and_unloads_are_answered_as_recorded(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    asked = replay(stand_in, ggufs)
    create_the_recorded_models(asked)
    assert asked.differences(recorded("04-inference")) == []
    assert asked.differences(recorded("05-openai")) == []
    assert asked.differences(recorded("06-copy-delete")) == []


def test_embeddings_are_answered_as_recorded(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    asked = replay(stand_in, ggufs)
    asked.differences(recorded("02-blobs-create")[:2])  # the recording begins with an upload that was there
    assert asked.differences(recorded("09-embedding")) == []
    assert asked.differences(numbered("10-runtime", "001", "003")) == []


def numbered(group: str, *numbers: str) -> list[Exchange]:
    return [exchange for exchange in recorded(group) if exchange.name.rpartition("/")[2][:3] in numbers]


def test_a_pulled_model_answers_as_recorded(stand_in: StandIn, ggufs: dict[str, bytes], tmp_path: Path) -> None:
    model = tmp_path / "say.gguf"
    model.write_bytes(ggufs["say.gguf"])
    publish(tmp_path / "registry", "library/small", "latest", model, CHATML, parameters={"temperature": 0})
    with ModelRegistry(tmp_path / "registry", "127.0.0.1") as registry:
        name = f"{registry.host}/library/small"
        assert native(stand_in, "/api/pull", {"model": name, "insecure": True, "stream": False}).status.endswith("OK")
        asked = Replay(stand_in.port, translated={"127.0.0.1:27500": registry.host})
        assert asked.differences(numbered("08-pull", "020", "021", "022", "023")) == []


def test_a_child_that_was_killed_is_started_again_as_recorded(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    upload(stand_in, "say", ggufs["say.gguf"])
    asked = replay(stand_in, ggufs)
    native(stand_in, "/api/generate", {"model": "say"})
    kill_child(stand_in)
    assert asked.differences(numbered("10-runtime", "026", "027", "028", "029")) == []


def test_a_model_goes_when_its_time_is_over_and_comes_back_as_recorded(
    stand_in: StandIn, ggufs: dict[str, bytes]
) -> None:
    upload(stand_in, "say", ggufs["say.gguf"])
    asked = replay(stand_in, ggufs)
    assert asked.differences(numbered("10-runtime", "053", "054")) == []
    time.sleep(2.3)
    assert asked.differences(numbered("10-runtime", "055", "056", "057", "058")) == []


def test_times_of_loaded_models_are_told_in_the_machines_time_zone_as_recorded(
    tree: Path, tmp_path: Path, ggufs: dict[str, bytes]
) -> None:
    with running(tree, tmp_path, TZ="Europe/Berlin") as stand_in:
        upload(stand_in, "say", ggufs["say.gguf"])
        asked = replay(stand_in, ggufs)
        assert asked.differences(numbered("12-misc", "008", "009", "023", "024")) == []


def test_a_prompt_that_is_too_long_is_cut(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    upload(stand_in, "say", ggufs["say.gguf"])
    messages = [{"role": "user", "content": "a " * 3000}]
    request = {"model": "say", "messages": messages, "stream": False, "options": {"num_ctx": 256}}
    answer = json.loads(native(stand_in, "/api/chat", request).pieces[0])
    assert answer["message"]["content"] == "Paris is the capital city of France."
    assert 100 < answer["prompt_eval_count"] < 256


def test_a_text_that_is_too_long_to_embed_is_refused_or_cut(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    upload(stand_in, "emb", ggufs["emb.gguf"])
    request = {"model": "emb", "input": "a " * 3000}
    refused = native(stand_in, "/api/embed", {**request, "truncate": False})
    assert refused.status == "HTTP/1.1 400 Bad Request"
    assert refused.pieces == ['{"error":"the input length exceeds the context length"}']
    assert json.loads(native(stand_in, "/api/embed", request).pieces[0])["prompt_eval_count"] == 2047


def test_models_are_loaded_and_unloaded(tree: Path, tmp_path: Path, ggufs: dict[str, bytes]) -> None:
    """With room for one model, the second one waits for the first one to be idle, and takes its place."""
    with running(tree, tmp_path, OLLAMA_MAX_LOADED_MODELS="1", OLLAMA_KEEP_ALIVE="-1") as stand_in:
        upload(stand_in, "say", ggufs["say.gguf"])
        upload(stand_in, "say2", ggufs["say2.gguf"])
        native(stand_in, "/api/generate", {"model": "say"})
        assert [model["name"] for model in loaded(stand_in)] == ["say:latest"]
        assert loaded(stand_in)[0]["expires_at"] > "2300"
        first = stand_in.children()
        native(stand_in, "/api/generate", {"model": "say2"})
        assert [model["name"] for model in loaded(stand_in)] == ["say2:latest"]
        assert len(stand_in.children()) == 1
        assert stand_in.children() != first
        native(stand_in, "/api/generate", {"model": "say2", "keep_alive": 0})
        assert (loaded(stand_in), stand_in.children()) == ([], [])


TOOL = {
    "type": "function",
    "function": {
        "name": "report_weather",
        "description": "Reports it",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}


def test_a_model_calls_a_tool_and_takes_its_result(stand_in: StandIn, tmp_path: Path) -> None:
    """By the chat template of its file: the prompt grows by what the tool is and by what it said."""
    write_tiny_gguf(
        tmp_path / "caller.gguf", says=tool_call_sentence("report_weather", city="Paris"), name="c", template="tools"
    )
    upload(stand_in, "caller", (tmp_path / "caller.gguf").read_bytes())
    asks = {"role": "user", "content": "What is the weather?"}
    request = {"model": "caller", "messages": [asks], "tools": [TOOL], "stream": False}
    answer = json.loads(native(stand_in, "/api/chat", request).pieces[0])
    (call,) = answer["message"]["tool_calls"]
    assert call["id"]
    assert call["function"] == {"index": 0, "name": "report_weather", "arguments": {"city": "Paris"}}
    (line,) = native(stand_in, "/api/chat", {**request, "stream": True}).pieces
    (streamed,) = json.loads(line)["message"]["tool_calls"]
    assert streamed["function"] == call["function"]
    plain = json.loads(native(stand_in, "/api/chat", {**request, "tools": []}).pieces[0])
    assert plain["prompt_eval_count"] < answer["prompt_eval_count"]
    assert plain["message"]["content"].startswith("<tool_call>")
    result = {"role": "tool", "content": "It rains", "tool_call_id": call["id"], "tool_name": "report_weather"}
    further = [asks, answer["message"], result]
    told = json.loads(native(stand_in, "/api/chat", {**request, "messages": further}).pieces[0])
    assert told["prompt_eval_count"] > answer["prompt_eval_count"]


def test_a_model_thinks_and_says(stand_in: StandIn, tmp_path: Path) -> None:
    says = "<think>\nLet me see.\n</think>\n\nParis it is"
    write_tiny_gguf(tmp_path / "thinker.gguf", says=says, name="t", template="thinking")
    upload(stand_in, "thinker", (tmp_path / "thinker.gguf").read_bytes())
    messages = [{"role": "user", "content": "Where?"}]
    request = {"model": "thinker", "messages": messages, "think": True}
    answer = json.loads(native(stand_in, "/api/chat", {**request, "stream": False}).pieces[0])
    assert answer["message"]["thinking"].strip() == "Let me see."
    assert answer["message"]["content"] == "Paris it is"
    lines = [json.loads(piece)["message"] for piece in native(stand_in, "/api/chat", request).pieces]
    assert "".join(line.get("thinking", "") for line in lines).strip() == "Let me see."
    assert "".join(line["content"] for line in lines) == "Paris it is"
    asked = {"model": "thinker", "prompt": "Where?", "stream": False}
    assert json.loads(native(stand_in, "/api/generate", asked).pieces[0])["response"] == says


def test_the_queue_has_an_end(tree: Path, tmp_path: Path, ggufs: dict[str, bytes]) -> None:
    """Requests for a model that has to wait are queued up to the limit, and refused beyond it.

    One is seen to, one waits in the queue. That the first was taken out of it when the others came is likely, no more.
    """
    with running(tree, tmp_path, OLLAMA_MAX_LOADED_MODELS="1", OLLAMA_MAX_QUEUE="1") as stand_in:
        upload(stand_in, "endless", ggufs["endless.gguf"])
        upload(stand_in, "say", ggufs["say.gguf"])
        with contextlib.closing(stream_endless(stand_in)) as pieces:
            next(pieces)
            for child in stand_in.children():  # it answers for as long as we like
                os.kill(child, signal.SIGSTOP)
            answers: list[Response] = []
            request = {"model": "say", "prompt": "x", "stream": False}

            def send() -> None:
                answers.append(native(stand_in, "/api/generate", request))

            senders = [threading.Thread(target=send) for _ in range(4)]
            for sender in senders:
                sender.start()
            wait_until(lambda: len(answers) >= 2)
            assert {answer.status for answer in answers} == {"HTTP/1.1 503 Service Unavailable"}
            busy = '{"error":"server busy, please try again.  maximum pending requests exceeded"}'
            assert {answer.pieces[0] for answer in answers} == {busy}
            for child in stand_in.children():
                os.kill(child, signal.SIGCONT)
        for sender in senders:
            sender.join(30)
        found = Counter(answer.status for answer in answers)
        refused = found["HTTP/1.1 503 Service Unavailable"]
        assert refused in (2, 3)
        assert found["HTTP/1.1 200 OK"] == 4 - refused


def test_an_answer_breaks_off_when_the_server_ends(stand_in: StandIn, ggufs: dict[str, bytes]) -> None:
    upload(stand_in, "endless", ggufs["endless.gguf"])
    pieces = stream_endless(stand_in)
    next(pieces)
    children = stand_in.children()
    start = time.monotonic()
    stand_in.process.send_signal(signal.SIGTERM)
    assert stand_in.process.wait(5) == 0
    assert time.monotonic() - start < 1
    with pytest.raises((ValueError, ConnectionError)):  # no last chunk
        list(pieces)
    # Whoever inherits them takes a moment to bury them.
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 5)


@pytest.mark.parametrize(
    ("path", "request_", "last"),
    [
        pytest.param(
            "/api/chat",
            {},
            {"error": "an error was encountered while running the model: unexpected EOF"},
            id="told by Ollama's own stream",
        ),
        pytest.param(
            "/v1/chat/completions",
            {"stream": True},
            {"delta": {"content": ""}, "finish_reason": None},
            id="hidden by the one of /v1",
        ),
    ],
)
def test_a_crash_of_the_child_is_told_or_hidden(
    stand_in: StandIn, ggufs: dict[str, bytes], path: str, request_: dict[str, Any], last: dict[str, Any]
) -> None:
    """Ollama's own stream ends with an error; the one of `/v1` ends like a whole answer, but without its last line."""
    upload(stand_in, "endless", ggufs["endless.gguf"])
    pieces = stream_endless(stand_in, path, request_)
    next(pieces)
    kill_child(stand_in)
    *_, end = pieces
    content = json.loads(end.removeprefix("data: "))
    if "choices" in content:
        assert content["model"] == ""
        content = {key: value for key, value in content["choices"][0].items() if key != "index"}
    assert content == last
    assert "[DONE]" not in end


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_frees_the_model(stand_in: StandIn, ggufs: dict[str, bytes], stream: bool) -> None:
    upload(stand_in, "endless", ggufs["endless.gguf"])
    native(stand_in, "/api/generate", {"model": "endless"})
    content = {"model": "endless", "prompt": "x", "stream": stream}
    with send(stand_in.port, {"method": "POST", "path": "/api/generate", "body": json.dumps(content)}):
        time.sleep(0.5)  # for its beginning, which is not told where there is no stream
    start = time.monotonic()
    request = {"model": "endless", "prompt": "x", "stream": False, "options": {"num_predict": 2}}
    assert native(stand_in, "/api/generate", request).status == "HTTP/1.1 200 OK"
    assert time.monotonic() - start < 10


def stream_endless(stand_in: StandIn, path: str = "/api/chat", request: dict[str, Any] | None = None) -> Pieces:
    messages = [{"role": "user", "content": "x"}]
    content = {"model": "endless", "messages": messages, **(request or {})}
    return pieces_of(stand_in.port, {"method": "POST", "path": path, "body": json.dumps(content)})


def kill_child(stand_in: StandIn) -> None:
    (child,) = stand_in.children()
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: Path(f"/proc/{child}/stat").read_text().split()[2] == "Z" or not stand_in.children())


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
