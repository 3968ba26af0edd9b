"""What the options of the Python server mean for a host."""

from __future__ import annotations

import json

from tests.llama_cpp_plans import PYTHON_FILE, command_of, plan_of, several, unit_of
from tests.stacks import CUDA_BUILD, python


def test_a_single_model_is_on_the_command_line() -> None:
    assert command_of(python(threads=2)) == (
        "/etc/ai-backend/install/llama-cpp-python/bin/python -I -u -X faulthandler "
        "-m llama_cpp.server --host 127.0.0.1 --port 8000 "
        "--interrupt_requests false --model /etc/ai-backend/install/model-native.gguf-a0fab137/native.gguf "
        "--model_alias p --n_ctx 2048 --n_gpu_layers 0 --use_mlock false --n_threads 2"
    )


def test_several_models_are_in_a_file_that_the_unit_reads() -> None:
    server = several()
    assert command_of(server).endswith(f"-m llama_cpp.server --config_file /etc/ai-backend/{PYTHON_FILE}")
    assert unit_of(server).reads == (PYTHON_FILE,)
    config = json.loads(plan_of(server).files[PYTHON_FILE])
    assert (config["host"], config["port"], config["interrupt_requests"]) == ("127.0.0.1", 8000, False)
    first, second = config["models"]
    assert (first["model_alias"], first["n_ctx"], second["model_alias"]) == ("first", 2048, "second")
    assert {
        "n_ctx": 512,
        "flash_attn": True,
        "type_k": 8,
        "type_v": 2,
        "chat_format": "chatml",
        "embedding": True,
    }.items() <= second.items()
    assert second["model"].endswith("/second.gguf")


def test_a_build_for_cards_keeps_all_layers_there_unless_told_otherwise() -> None:
    assert "--n_gpu_layers -1 " in command_of(python(build=CUDA_BUILD))
    assert "--n_gpu_layers 7 " in command_of(python(build=CUDA_BUILD, gpu_layers=7))
