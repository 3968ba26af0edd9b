"""The parts of the GPU check that need no card: steps and their table, recordings, units, the pack."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from roles.contract.recipes import SourceBuildRecipe
from roles.fit.file import facts_of_file
from roles.fit.llama_cpp import Settings, compute_buffer, needs
from roles.fit.table import CONTEXT_OF_CUDA
from roles.host.programs.gpu.cards import Facts, no_cards
from roles.verify.loading import load_generation
from tests.gpu import memory_plan, packing
from tests.gpu.check import Check
from tests.gpu.driver_tool import asked, differences, mask, recorded
from tests.gpu.memory_plan import Measured
from tests.gpu.packing import PackError, make_environment, open_pack, unpack_python
from tests.gpu.reference import NATIVE, deployed
from tests.gpu.server import answer_of, layers_on_cards, read_unit
from tests.gpu.steps import Outcome, Row, SkipStep, Step, StepError, holds, run_steps, table
from tests.gpu_program import write_gpu_program
from tests.hollow_models import Hollow, write_hollow
from tests.labhost.paths import REPOSITORY

RECORDINGS = REPOSITORY / "tests/unit/gpu_recordings"
UUID, OTHER = "GPU-c2d135aa-db92-1171-9820-8b79643f6f48", "GPU-d2d135aa-db92-1171-9820-8b79643f6f48"
DOCUMENT = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>580.159.04</driver_version>
  <cuda_version>13.0</cuda_version>
  <gpu id="00000000:00:06.0">
    <product_name>NVIDIA H100 80GB HBM3</product_name>
    <uuid>GPU-00000000-0000-0000-0000-000000000000</uuid>
    <mig_mode><current_mig>Disabled</current_mig></mig_mode>
    <fb_memory_usage>
      <total>81559 MiB</total><reserved>480 MiB</reserved><used>21006 MiB</used><free>60073 MiB</free>
    </fb_memory_usage>
    <processes>
      <process_info><pid>491</pid><type>C</type><used_memory>20998 MiB</used_memory></process_info>
      <process_info><pid>12</pid><type>G</type><used_memory>8 MiB</used_memory></process_info>
    </processes>
  </gpu>
</nvidia_smi_log>
"""


# Steps and table


def fails(message: str = "it is wrong", output: str = "") -> str:
    raise StepError(message, output)


def skips() -> str:
    raise SkipStep("there is none")


def breaks() -> str:
    raise ValueError("a defect")


def outcomes(rows: list[Row]) -> list[Outcome]:
    return [row.outcome for row in rows]


def test_a_step_that_fails_costs_only_those_that_need_it() -> None:
    rows = run_steps(
        [
            Step("a", lambda: "well"),
            Step("b", fails),
            Step("c", lambda: "well", ("a",)),
            Step("d", lambda: "well", ("a", "b")),
            Step("e", breaks),
            Step("f", skips),
            Step("g", lambda: "well", ("f",)),
        ],
        limit=60,
        say=lambda _: None,
    )
    passed, failed, skipped, not_run = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, Outcome.NOT_RUN
    assert outcomes(rows) == [passed, failed, passed, not_run, failed, skipped, passed]
    assert rows[3].said == "needs b"
    assert "ValueError: a defect" in rows[4].said


def test_what_is_not_reached_in_time_is_told_as_not_run() -> None:
    told: list[str] = []
    started = time.monotonic()

    def takes_long() -> str:
        time.sleep(30)
        return "never"

    rows = run_steps(
        [Step("quick", lambda: "well"), Step("long", takes_long), Step("rest", lambda: "well")], 0.3, told.append
    )
    assert time.monotonic() - started < 20
    assert outcomes(rows) == [Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN]
    assert rows[1].said == "cut, as the whole check may take 0.3 s"
    assert rows[2].said == "the 0.3 s were over"
    assert len(told) == 3
    assert not holds(rows)


def test_a_time_limit_that_passes_between_steps_cuts_none() -> None:
    rows = run_steps([Step("a", lambda: "well"), Step("b", lambda: "well")], 0.2, lambda _: time.sleep(0.4))
    assert outcomes(rows) == [Outcome.PASSED, Outcome.NOT_RUN]


def test_what_a_step_cleans_up_is_cleaned_up_when_it_is_cut() -> None:
    cleaned: list[str] = []

    def step() -> str:
        try:
            with contextlib.suppress(Exception):  # nothing on the way may take it for a failure of its own
                time.sleep(30)
            return "it went on"
        finally:
            cleaned.append("yes")

    (row,) = run_steps([Step("a", step)], 0.2, lambda _: None)
    assert (row.outcome, cleaned) == (Outcome.FAILED, ["yes"])


def test_the_last_lines_of_what_failed_are_told_at_once_and_left_out_of_the_table() -> None:
    told: list[str] = []
    output = "\n".join(f"line {number}" for number in range(100))
    rows = run_steps([Step("a", lambda: fails("it ended", output))], 60, told.append)
    assert "line 60\n" in told[0]
    assert "line 59\n" not in told[0]
    assert table(rows).splitlines() == [f"FAILED  {rows[0].seconds:7.1f} s  a  it ended", "1 failed, in 0 s"]


def test_nothing_holds_that_was_not_run() -> None:
    rows = [Row("a", Outcome.PASSED, 1.0, ""), Row("b", Outcome.SKIPPED, 0.0, "")]
    assert holds(rows)
    assert not holds([*rows, Row("c", Outcome.NOT_RUN, 0.0, "")])


# What is deployed


def test_the_verifier_compares_both_servers_with_the_model_that_is_made(tmp_path: Path) -> None:
    made = deployed(tmp_path, "90")
    providers = load_generation(made.config).providers
    assert [provider.kind for provider in providers] == ["llama-server", "llama-cpp-python"]
    for provider in providers:
        (weights,) = provider.weights
        assert (weights.file.resolve(), weights.layers) == (made.model.resolve(), None)


# The driver's tool


def has_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, case: str = "h100_held") -> Path:
    """A tool that says what was recorded, with a UUID that is not masked; gives the generation's program."""
    program = folder / "path/nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
case "$*" in
--query-gpu=*) sed s/GPU-00000000-0000-0000-0000-000000000000/{UUID}/ {RECORDINGS}/{case}/query-gpu; exit $STATUS ;;
--query-compute-apps=*) echo "{UUID}, 491, 20998, {folder}/bin/python3" ;;
--version) cat {RECORDINGS}/{case}/version ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STATUS", "0")
    return write_gpu_program(folder / "generation")


# Without a card, and the memory plan


def test_without_a_card_what_needs_one_is_skipped_and_the_rest_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr("tests.gpu.check.facts", no_cards)
    steps = Check(tmp_path, tmp_path, None).steps()
    idle = [step.name for step in steps if step.run.__name__ in ("no_cards", "_skip_without_card")]
    run = [step.name for step in steps if step.name not in idle]
    assert len({*idle, *run}) == len(steps)
    assert run == [
        "verifier without a card", "model", "build", "llama-server on the processor", "memory plan",
        "Python server on the processor",
    ]  # fmt: skip
    assert {name for step in steps if step.name in run for name in step.needs} <= {*run, "cards"}
    rows = run_steps(steps[:8], limit=60)
    assert outcomes(rows) == [Outcome.SKIPPED] * 7 + [Outcome.PASSED]
    assert {row.said for row in rows[:7]} == {"no NVIDIA card is here"}
    assert "no card that can compute is found" in rows[7].said


def says(model: Path, its: Settings, more: float) -> str:
    """The log of a server that allocates as is planned, but for its cache."""
    facts = facts_of_file(model)
    need = needs(facts, its, with_card=False).main
    sizes = {"model": need.weights, "KV": need.cache * more, "compute": compute_buffer(facts, its)}
    return "\n".join(f"x: CPU {what} buffer size = {size / 2**20:8.2f} MiB" for what, size in sizes.items())


def test_the_plan_is_compared_with_what_the_server_says(tmp_path: Path) -> None:
    model = write_hollow(tmp_path / "model.gguf", Hollow())
    said = memory_plan.compare(model, lambda its: Measured(says(model, its, 1.01), None))
    assert said.startswith("3 contexts x 2 types of cache; furthest from it: model ")
    assert "KV -1.0%" in said
    with pytest.raises(StepError, match="context 2048, f16: KV is planned with 8 MiB, and has 8"):
        memory_plan.compare(model, lambda its: Measured(says(model, its, 1.03), None))


def test_the_plan_is_compared_with_what_the_driver_says(tmp_path: Path) -> None:
    model = write_hollow(tmp_path / "model.gguf", Hollow())
    facts = facts_of_file(model)

    def held(its: Settings, more: float) -> Measured:
        planned = needs(facts, its, with_card=True).card.total + CONTEXT_OF_CUDA
        return Measured(says(model, its, 1.0), round(planned * more))

    assert "card -9.1%" in memory_plan.compare(model, lambda its: held(its, 1.1))
    with pytest.raises(StepError, match="context 2048, f16: card is planned with"):
        memory_plan.compare(model, lambda its: held(its, 1.2))


def test_a_recording_is_a_case_for_the_unit_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, case = has_tool(tmp_path, monkeypatch), tmp_path / "case"
    found = recorded(program, case, {str(tmp_path): "/home/check"})
    assert found == asked(program)
    assert found["cards"][0]["uuid"] == UUID
    for name in ("query-gpu", "version"):
        assert (case / name).read_text() == (RECORDINGS / "h100_held" / name).read_text()
    masked = "GPU-00000000-0000-0000-0000-000000000000"
    assert (case / "query-compute-apps").read_text() == f"{masked}, 491, 20998, /home/check/bin/python3\n"
    assert not (case / "status").exists()
    assert not (case / "bin").exists()


def test_a_recording_holds_the_status_of_a_tool_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, case = has_tool(tmp_path, monkeypatch), tmp_path / "case"
    monkeypatch.setenv("STATUS", "9")
    recorded(program, case, {})
    assert (case / "status").read_text() == "9\n"


def test_cards_are_told_apart_where_their_names_are_masked(tmp_path: Path) -> None:
    (tmp_path / "query-gpu").write_text(f"0, {UUID}, a\n1, {OTHER}, b\n")
    (tmp_path / "query-compute-apps").write_text(f"{OTHER}, 1, 2, x\n")
    mask(tmp_path, {})
    zeros = "GPU-00000000-0000-0000-0000-00000000000"
    assert (tmp_path / "query-gpu").read_text() == f"0, {zeros}0, a\n1, {zeros}1, b\n"
    assert (tmp_path / "query-compute-apps").read_text() == f"{zeros}1, 1, 2, x\n"


@pytest.fixture
def facts() -> Facts:
    """Those of the recorded card, with 20 GiB held."""
    return {
        "vendor": "nvidia",
        "driver": {"kernel": "580.159.04", "library": "580.159", "cuda": "13.0", "agree": True},
        "cards": [
            {
                "index": 0,
                "uuid": "GPU-00000000-0000-0000-0000-000000000000",
                "name": "NVIDIA H100 80GB HBM3",
                "memory_total": 85017493504,
                "memory_free": 62991106048,
                "compute_capability": "9.0",
                "pci": "00000000:00:06.0",
                "problem": None,
                "exclusive": False,
                "processes": [{"pid": 491, "name": "python3", "memory": 20998 << 20}],
            }
        ],
        "problem": None,
    }


def test_facts_that_are_those_of_the_tools_own_document_differ_nowhere(facts: Facts) -> None:
    assert differences(facts, DOCUMENT) == []


def test_each_fact_that_is_another_is_named(facts: Facts) -> None:
    facts["driver"]["kernel"] = "1"
    card = facts["cards"][0]
    card["name"], card["memory_total"], card["memory_free"] = "another", 85899345920, 0
    card["problem"], card["processes"] = "it is divided by MIG", []
    assert [difference.partition(" is ")[0] for difference in differences(facts, DOCUMENT)] == [
        "the kernel's version",
        "card 0: the name",
        "card 0: the division",
        "card 0: the memory",
        "card 0: the free memory",
        "card 0: the processes",
    ]


def test_a_card_that_is_missing_is_a_difference(facts: Facts) -> None:
    facts["cards"] = []
    assert differences(facts, DOCUMENT) == ["the number of cards is 0 and should be 1"]


# Servers


def test_a_unit_is_read_as_systemd_reads_it(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.env"
    secrets.write_text('LLAMA_API_KEY="k$1"\n')
    unit = read_unit(f"""[Service]
ExecStartPre=/bin/first --device \\
    CUDA0
ExecStart=/bin/server \\
    --port 8080 \\
    --template "a b%%c$$d"
Environment=ORDER=PCI_BUS_ID
Environment="NAME=a b"
EnvironmentFile={secrets}
ExecStartPre=/bin/second
""")
    assert unit.before == (("/bin/first", "--device", "CUDA0"), ("/bin/second",))
    assert unit.command == ("/bin/server", "--port", "8080", "--template", "a b%c$d")
    assert unit.environment == {"ORDER": "PCI_BUS_ID", "NAME": "a b", "LLAMA_API_KEY": "k$1"}


def test_what_is_run_is_what_the_reference_inventory_declares(tmp_path: Path) -> None:
    made = deployed(tmp_path, "90")
    assert isinstance(made.build.recipe, SourceBuildRecipe)
    assert made.build.recipe.cmake_options["CMAKE_CUDA_ARCHITECTURES"] == "90"
    native = read_unit(made.unit("native").text)
    assert native.command[0] == f"{made.config}/install/llama-cpp/bin/llama-server"
    assert native.command[native.command.index("--ctx-size") + 1] == str(NATIVE.context_size)
    assert Path(native.command[native.command.index("--model") + 1]).parent.resolve() == made.model.parent
    assert "LLAMA_API_KEY" in native.environment
    assert any("wait" in before for before in native.before)
    python = read_unit(made.unit("python").text)
    assert python.environment["LLAMA_CPP_LIB_PATH"] == f"{made.config}/install/llama-cpp/bin"
    assert (made.config / "bin/gpu").exists()


def test_speeds_are_the_servers_own_where_it_tells_them() -> None:
    choices = [{"message": {"content": " words "}}]
    timed = {"choices": choices, "timings": {"prompt_per_second": 900.0, "predicted_per_second": 80.0}}
    answer = answer_of(timed, 2.0)
    assert (answer.text, answer.prompt_speed, answer.speed) == ("words", 900.0, 80.0)
    untimed = answer_of({"choices": choices, "usage": {"completion_tokens": 100}}, 2.0)
    assert (untimed.prompt_speed, untimed.speed) == (None, 50.0)


def test_layers_are_read_from_the_log() -> None:
    assert layers_on_cards("x\n0.1 I load_tensors: offloaded 5/5 layers to GPU\n") == (5, 5)
    assert layers_on_cards("load_tensors: CPU model buffer size = 1 MiB") is None


# The pack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """One for this machine, with a package in each set."""
    folder, sets = tmp_path / "pack", tmp_path / "sets"
    folder.mkdir()
    for name in ("check", "server"):
        for file in ("thing/__init__.py", "thing/tests/test_thing.py", "bin/thing"):
            (sets / name / file).parent.mkdir(parents=True, exist_ok=True)
            (sets / name / file).write_text(f"NAME = {name!r}\n")
    packing._write_archive(
        folder / packing.PYTHON_ARCHIVE, {name: sets / name for name in ("check", "server")}, packing._is_needed
    )
    (folder / packing.SOURCE_ARCHIVE).write_bytes(b"source")
    archives = {name: packing._sha256(folder / name) for name in (packing.PYTHON_ARCHIVE, packing.SOURCE_ARCHIVE)}
    about = {"python": packing.host_python(), "machine": platform.machine(), "archives": archives}
    (folder / "pack.json").write_text(json.dumps(about))
    return folder


def test_an_environment_imports_what_was_packed_for_it(pack: Path, tmp_path: Path) -> None:
    open_pack(pack)
    unpack_python(pack, tmp_path / "packages")
    python = make_environment(tmp_path / "environment", tmp_path / "packages/server")
    ask = "import thing, sys; print(thing.NAME, sys.prefix)"
    assert packing._output([str(python), "-I", "-c", ask]) == f"server {tmp_path / 'environment'}\n"
    assert not (tmp_path / "packages/server/thing/tests").exists()
    assert not (tmp_path / "packages/server/bin").exists()


def test_what_was_unpacked_once_is_kept_until_the_pack_is_another(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    unpack_python(pack, folder)
    (folder / "sign").touch()
    unpack_python(pack, folder)
    assert (folder / "sign").exists()
    packing._write_archive(pack / packing.PYTHON_ARCHIVE, {"check": tmp_path / "sets/check"}, packing._is_needed)
    unpack_python(pack, folder)
    assert not (folder / "sign").exists()
    assert not (folder / "server").exists()


def test_a_pack_that_is_missing_damaged_or_for_another_machine_is_refused(pack: Path, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"nowhere is no pack: where there is a network, make one with `make gpu-pack"):
        open_pack(tmp_path / "nowhere")
    about = json.loads((pack / "pack.json").read_text())
    (pack / "pack.json").write_text(json.dumps({**about, "python": "3.1"}))
    with pytest.raises(PackError, match=r"is for Python 3\.1 on .* make one with `make gpu-pack GPU_PYTHON="):
        open_pack(pack)
    (pack / packing.SOURCE_ARCHIVE).write_bytes(b"other")
    with pytest.raises(PackError, match=r"llama\.cpp\.tar\.xz is damaged: copy it again"):
        open_pack(pack)


def test_the_source_is_packed_without_what_no_build_reads(tmp_path: Path) -> None:
    release = tmp_path / "bindings-1"
    for file in ("setup.py", "vendor/llama.cpp/CMakeLists.txt", "vendor/llama.cpp/ggml/tests/a", "vendor/other/a"):
        (release / file).parent.mkdir(parents=True, exist_ok=True)
        (release / file).touch()
    (release / "vendor/llama.cpp/models").mkdir()
    (release / "vendor/llama.cpp/models/large").touch()
    with tarfile.open(tmp_path / "sdist.tar.gz", "w:gz") as sdist:
        sdist.add(release, "bindings-1")
    shutil.rmtree(release)
    packing._trim(tmp_path / "sdist.tar.gz", "vendor/llama.cpp", tmp_path / "source.tar.xz")
    with tarfile.open(tmp_path / "source.tar.xz") as packed:
        names = {member.name for member in packed if member.isfile()}
    assert names == {"bindings-1/vendor/llama.cpp/CMakeLists.txt", "bindings-1/vendor/llama.cpp/ggml/tests/a"}
