"""What hosts send, as it is taken in and as the reports show it: nothing of it drives a terminal."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from pyinfra.api.exceptions import FactProcessError
from rich.console import Console

from roles.host.output import decoded, escaped
from roles.verify import FORMS, Verdict, print_report, read_verdict
from tests.labhost.paths import REPOSITORY
from tests.verdicts import BAD, GOOD, as_written

HOSTILE = {
    "title": "\x1b]0;pwned\x07",
    "clear": "\x1b[2J\x1b[1;1H",
    "C1": "\x9b31m\x90q\x9d0;pwned\x9c",
    "backspaces": "ok\b\bno",
    "carriage return": "\rfaked",
    "delete": "\x7f",
    "bell": "\x07",
    "turned": "\u202eevil\u2066\u061c",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "half a character": "\ud800",
    "markup": "[link=http://x]here[/link] [bold red]",
    "a line of its own": "\nFAIL faked",
}
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_what_is_taken_in_can_be_shown_and_json_stays_json(hostile: str) -> None:
    assert not ORDERS.search(escaped(hostile))
    raw = json.dumps({"text": [hostile], hostile: 7}, ensure_ascii=False)
    found = decoded([escaped(raw)])
    assert not ORDERS.search("".join([*found, *found["text"]]))
    if hostile.isprintable():
        assert found["text"] == [hostile]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="half an object"),
        pytest.param("7 8", id="two values"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param("\x1b[2J", id="an escape sequence"),
    ],
)
def test_what_is_no_answer_is_one_message(text: str) -> None:
    with pytest.raises(FactProcessError, match="something else answers there"):
        decoded([escaped(text)])


_READS = """
import pyinfra_cli, sys
from pyinfra.api.output import set_echo
from pyinfra.connectors.util import run_local_process
from roles.host.output import guard_terminal
guard_terminal()
guard_terminal()
set_echo(lambda message, **options: print(message))
status, output = run_local_process(sys.argv[1], print_output=True, print_prefix="[box] ")
print(status, ascii(output.stdout_lines), ascii(output.stderr_lines))
"""


def test_every_line_that_pyinfra_reads_is_taken_in_so() -> None:
    command = r"printf 'a\033[2J\303\244\377\r\nb\n'; printf '\302\233x\n' >&2"
    done = subprocess.run(
        [sys.executable, "-c", _READS, command],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    *shown, last = done.stdout.splitlines()
    assert sorted(shown) == ["[box] \\u009bx", "[box] a\\u001b[2J\u00e4\ufffd", "[box] b"]
    assert last == r"0 ['a\\u001b[2J\xe4\ufffd', 'b'] ['\\u009bx']"


def _hostile_verdict(hostile: str) -> Verdict:
    checks = tuple(
        replace(check, id=check.id + hostile, subject=f"it{hostile}", claim=hostile, expected=hostile, seen=hostile)
        for check in BAD.checks
    )
    return replace(BAD, host=hostile, boot_id=hostile, generation=hostile, checks=checks)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_report_drives_a_terminal(hostile: str) -> None:
    verdict = _hostile_verdict(hostile)
    console = Console(file=io.StringIO(), width=120)
    print_report(verdict, console, [GOOD])
    assert isinstance(console.file, io.StringIO)
    texts = {"terminal": console.file.getvalue()} | {name: form.write(verdict, [GOOD]) for name, form in FORMS.items()}
    for name, text in texts.items():
        assert not ORDERS.search(text), name
    assert not re.search("^ ?(FAIL )?faked", texts["terminal"], re.MULTILINE)
    assert read_verdict(texts["json"]) == as_written(verdict)


def test_how_pyinfra_ends_a_run_shows_no_traceback() -> None:
    """It raises in a greenlet, and says then what has failed; a defect still shows where it is."""
    program = (
        "import gevent\n"
        "from pyinfra.api.exceptions import PyinfraError\n"
        "from roles.host.output import guard_terminal\n"
        "guard_terminal()\n"
        "def fail(error): raise error\n"
        "errors = PyinfraError('No hosts remaining!'), KeyError('defect')\n"
        "gevent.joinall([gevent.spawn(fail, error) for error in errors])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "No hosts remaining!" not in done.stderr
    assert "KeyError: 'defect'" in done.stderr
