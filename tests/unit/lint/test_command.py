"""`python -m roles.lint`: lines, JSON, exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roles.lint import __main__ as command

_FIXTURES = Path(__file__).parent / "fixtures"
_BAD = str(_FIXTURES / "unknown-provider" / "fails.yaml")
_WARNS = str(_FIXTURES / "unknown-provider" / "passes.yaml")


def test_a_finding_is_one_line_with_file_line_message_fix_and_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([_BAD]) == 1
    assert (
        f'{_BAD}:4: error: model "a": "llama_cpp" is no provider: LiteLLM drops the deployment in silence; '
        'write "openai/x" [unknown-provider]' in capsys.readouterr().out.splitlines()
    )


def test_warnings_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([_WARNS]) == 0
    assert "warning: there is no `request_timeout`" in capsys.readouterr().out


def test_json_is_one_list_of_all_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([_BAD, _WARNS, "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert {finding["file"] for finding in findings} == {_BAD, _WARNS}
    assert {"rule", "severity", "file", "line", "path", "message", "fix", "count"} == set(findings[0])
    [provider] = [finding for finding in findings if finding["rule"] == "unknown-provider"]
    assert provider["path"] == "model_list[0].litellm_params.model"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a: [\n", "this is no YAML", id="no YAML"),
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"- a\n", "the file is no mapping", id="no mapping"),
        pytest.param(b"a: 1\nb: \xff\n", "error: it is not UTF-8 (line 2): save it as UTF-8", id="no UTF-8"),
    ],
)
def test_what_can_not_be_read_is_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    assert command.main([str(tmp_path / "x.yaml")]) == 2
    printed = capsys.readouterr()
    [line] = (printed.out + printed.err).splitlines()
    assert message in line


def test_a_file_that_is_not_there_is_status_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/none.yaml:1: error: it cannot be read: No such file or directory; "
        "name a file that this user can read [unreadable-file]"
    ]


def test_an_environment_file_says_which_variables_are_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(_FIXTURES / "environment-unset" / "fails.yaml")
    env = tmp_path / "litellm.env"
    env.write_text('# comment\nLITELLM_MASTER_KEY="sk-\\"1"\nexport BACKEND_KEY=\'two\nlines\'\n')
    assert command.main([config, "--env-file", str(env)]) == 0
    env.write_text("LITELLM_MASTER_KEY=sk-1\n#BACKEND_KEY=x\n")
    assert command.main([config, "--env-file", str(env)]) == 1
    assert "the environment has no BACKEND_KEY" in capsys.readouterr().out


def test_two_proxies_with_one_environment_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = _FIXTURES / "prometheus-folder-shared" / "other.yaml"
    (tmp_path / "one.yaml").write_text(config.read_text())
    (tmp_path / "two.yaml").write_text(config.read_text())
    (tmp_path / "a.env").write_text("PROMETHEUS_MULTIPROC_DIR=/run/a\nLITELLM_MASTER_KEY=sk-1\n")
    (tmp_path / "b.env").write_text("PROMETHEUS_MULTIPROC_DIR=/run/b\nLITELLM_MASTER_KEY=sk-1\n")
    files = [str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]
    assert command.main([*files, "--env-file", str(tmp_path / "a.env")]) == 1
    assert capsys.readouterr().out.count("[prometheus-folder-shared]") == 2
    assert command.main([*files, "--env-file", str(tmp_path / "a.env"), "--env-file", str(tmp_path / "b.env")]) == 0


def test_environment_files_that_fit_no_file_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([_BAD, "--env-file", "a", "--env-file", "b"]) == 2
    assert capsys.readouterr().err == "give --env-file once for all files, or once for each\n"


def test_a_version_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([_BAD, "--litellm", "latest"])
    assert '"latest" is no version; write e.g. 1.106.2' in capsys.readouterr().err


def test_it_needs_nothing_but_yaml() -> None:
    program = "import sys, roles.lint.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "yaml" in loaded
    assert {"pydantic", "pyinfra", "litellm", "jinja2", "rich", "httpx"} & set(loaded) == set()


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "roles.lint", _BAD], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert b"Traceback" not in done.stderr
