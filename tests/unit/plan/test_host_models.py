"""Models that are on the host already, in a plan: served from where they are, and seen by the units that read them."""

from __future__ import annotations

import pytest

from roles.contract.requests import HostModel
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import HostFile, HostFolder, OptionsError, Stack
from roles.plan import LOADER_USER, HostPlan
from roles.rooms import plan_of
from tests.stacks import native, python, route, small_stack, user_scope, vllm


def planned(stack: Stack, unit: str) -> tuple[HostPlan, str]:
    plan = plan_of(stack)
    return plan, next(each.text for each in plan.units if each.name == unit)


def with_native(path: str) -> Stack:
    return small_stack(providers=[native(model=HostFile(path=path)), python()])


def test_a_file_is_served_from_where_it_is_once_its_disk_is_mounted() -> None:
    plan, unit = planned(with_native("/data/models/q.gguf"), "llama-server@native.service")
    assert "--model /data/models/q.gguf" in unit
    assert "RequiresMountsFor=/data/models/q.gguf" in unit
    assert "ProtectHome=yes" in unit
    assert plan.host_models == (HostModel(path="/data/models/q.gguf", folder=False),)


def test_of_a_home_a_unit_and_the_verifier_see_the_model_alone() -> None:
    path = "/home/ada/models/q.gguf"
    plan, unit = planned(with_native(path), "llama-server@native.service")
    verifier = next(each.text for each in plan.units if each.name == "ai-backend-verify.service")
    for text in (unit, verifier):
        assert f"ProtectHome=tmpfs\nBindReadOnlyPaths=-{path}\n" in text
        assert "ProtectHome=yes" not in text
    assert plan.host_models == (HostModel(path=path, folder=False, sees=path),)


def test_a_snapshot_of_the_hubs_own_cache_is_seen_with_the_files_that_it_links_to() -> None:
    cache = "/home/ada/.cache/huggingface/hub/models--org--model"
    model = HostFolder(path=f"{cache}/snapshots/{'0' * 40}")
    stack = small_stack(providers=[vllm(model=model)], routes=[route("m", "vllm")], aliases={})
    _, unit = planned(stack, "vllm@vllm.service")
    assert f"BindReadOnlyPaths=-{cache}\n" in unit
    assert f"serve {model.path} " in unit.replace(" \\\n   ", "")


def test_a_folder_gives_the_model_its_name() -> None:
    assert vllm(model=HostFolder(path="/srv/models/Qwen2.5-7B/")).served() == ("Qwen2.5-7B",)


def test_all_parts_of_a_split_model_must_be_there() -> None:
    plan = plan_of(with_native("/data/q-00001-of-00002.gguf"))
    assert [model.path for model in plan.host_models] == ["/data/q-00001-of-00002.gguf", "/data/q-00002-of-00002.gguf"]


def test_in_user_scope_the_user_reads_it_and_nothing_is_hidden() -> None:
    stack = with_native("/home/alice/q.gguf").model_copy(update={"scope": user_scope()})
    plan, unit = planned(stack, "llama-server@native.service")
    assert plan.host_models == (HostModel(path="/home/alice/q.gguf", folder=False, user="alice", sees=None),)
    assert "ProtectHome" not in unit
    assert "RequiresMountsFor" not in unit


def test_ollamas_loader_reads_it_as_its_own_user() -> None:
    model = OllamaModel(name="own", gguf=HostFile(path="/data/q.gguf"))
    ollama = Ollama(release=OllamaRelease(version="0.32.15"), models=[model])
    stack = small_stack(providers=[ollama], routes=[route("own", "ollama")], aliases={})
    plan, unit = planned(stack, "ollama-models.service")
    assert "RequiresMountsFor=/data/q.gguf" in unit
    assert plan.host_models == (HostModel(path="/data/q.gguf", folder=False, user=LOADER_USER),)
    assert '"gguf": "/data/q.gguf"' in plan.files["ollama/ollama.json"]
    assert '"kept_by_others": true' in plan.files["ollama/ollama.json"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("~/models/q.gguf", "write the whole path on the host"),
        ("models/q.gguf", "no whole path on the host"),
        ("/srv/my models/q.gguf", "no whole path on the host"),
        ("/srv/%h/q.gguf", "no whole path on the host"),
        ("/srv/../q.gguf", "write the path without"),
        ("/tmp/q.gguf", "is in /tmp, of which each service has its own"),
        ("https://example.com/q.gguf", "is an address"),
    ],
)
def test_a_path_that_no_unit_could_use_is_refused(path: str, told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        HostFile(path=path)


def test_a_later_part_and_a_digest_of_a_split_model_are_refused() -> None:
    with pytest.raises(OptionsError, match=r"part 2 of 2; give .*00001-of-00002"):
        native(model=HostFile(path="/data/q-00002-of-00002.gguf"))
    with pytest.raises(OptionsError, match="the model has 2"):
        HostFile(path="/data/q-00001-of-00002.gguf", sha256="0" * 64)
