"""What `deploys/verify.py` tells and writes, told by pyinfra's fake connector."""

from __future__ import annotations

from pathlib import Path

from roles.verify import FORMS, read_verdict
from tests.plan.fake import Run, passing_verdict, run_pyinfra
from tests.verdicts import BAD, GOOD, as_schema_2, earlier_runs

_FILES = {form.file for form in FORMS.values()}


def _verify(folder: Path, verdict: str, kept: str = "", *options: str) -> Run:
    hosts = f"hosts = [fake('box', small_stack(), verdict={verdict!r}, kept={kept!r})]"
    return run_pyinfra(folder, hosts, "verify.py", options=options)


def test_it_says_what_changed_since_the_last_verdict_that_the_host_kept(tmp_path: Path) -> None:
    run = _verify(tmp_path, BAD.to_json(), "\n".join(verdict.to_json() for verdict in earlier_runs(3)))
    assert run.status == 1
    assert "Since 2026-11-22T02:30:00+00:00:" in run.output
    assert "fails now: unit/vllm@qwen-coder.service/port: nothing listens on port 8001" in run.output
    # The last ones are read before the verifier adds its own.
    assert run.programs() == ["kept verdicts", "verify"]


def test_a_host_whose_verifier_is_of_the_version_before_is_understood(tmp_path: Path) -> None:
    run = _verify(tmp_path, as_schema_2(BAD), as_schema_2(GOOD))
    assert run.status == 1
    assert "fails now: unit/vllm@qwen-coder.service/port: nothing listens on port 8001" in run.output


def test_a_kept_verdict_that_it_can_not_read_is_passed_over(tmp_path: Path) -> None:
    other = GOOD.to_json().replace('"schema": 3', '"schema": 99')
    run = _verify(tmp_path, GOOD.to_json(), f"{other}\n{GOOD.to_json()[:200]}")
    assert run.status == 0, run.output
    assert "Since" not in run.output


def test_the_verdict_is_kept_by_the_host_that_gave_it(tmp_path: Path) -> None:
    for deploy in ("verify.py", "full.py"):
        run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(), verdict={passing_verdict()!r})]", deploy)
        (command,) = [command for _, command in run.commands if "bin/verify" in command]
        assert "--keep" in command


def test_it_writes_the_verdict_in_all_its_forms_for_each_host(tmp_path: Path) -> None:
    hosts = ", ".join(f"fake('{name}', small_stack(), verdict={GOOD.to_json()!r})" for name in ("one", "two"))
    run = run_pyinfra(tmp_path, f"hosts = [{hosts}]", "verify.py", options=("--data", "report=out/status"))
    assert run.status == 0, run.output
    folders = sorted((tmp_path / "out/status").iterdir())
    assert [folder.name for folder in folders] == ["@fake-one", "@fake-two"]
    for folder in folders:
        assert {file.name for file in folder.iterdir()} == _FILES
        assert read_verdict((folder / "verdict.json").read_text()) == GOOD
        assert (folder / "status.html").read_text() == FORMS["html"].write(GOOD, ())
    assert run.output.count("written: out/status/@fake-") == 2


def test_a_verdict_that_does_not_hold_is_written_too_with_the_runs_before_it(tmp_path: Path) -> None:
    kept = earlier_runs(3)
    run = _verify(tmp_path, BAD.to_json(), "\n".join(each.to_json() for each in kept), "--data", "report=out")
    assert run.status == 1
    assert (tmp_path / "out/@fake-box/status.html").read_text() == FORMS["html"].write(BAD, kept)


def test_without_being_told_it_writes_nothing(tmp_path: Path) -> None:
    assert _verify(tmp_path, GOOD.to_json()).status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["inventory.py"]


def test_a_folder_that_can_not_be_written_to_ends_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = _verify(tmp_path, GOOD.to_json(), "", "--data", "report=file/status")
    assert run.status == 1
    assert run.output.count("the report cannot be written: file/status") == 1, run.output
    assert "Not a directory" in run.output
    assert "Traceback" not in run.output
