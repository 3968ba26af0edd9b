"""Where a host goes back to, and what it remembers: the programs, on folders as they lie on a host."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from roles.contract.generation import ACTIVATION
from roles.contract.requests import Activation, GoBack, Outcome
from roles.host.programs.console import HostError
from roles.host.programs.generations import record, rollback
from roles.host.programs.generations.activate import _forget_old_generations
from roles.host.programs.generations.kept import events, history_file, passed_verifications
from roles.host.programs.generations.record import first_line, note, note_verdict
from roles.verify.verdict.events import read_events

PASS = Outcome(status="pass", summary="24 of 24 checks pass", seconds=1.5)
FAIL = Outcome(status="fail", summary="1 of 24 checks fail", seconds=1.5)


@pytest.fixture
def state(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state")


def keep(folder: Path, name: str) -> Path:
    """A generation with one install, which is whole."""
    install = folder / "installs" / f"of-{name}"
    install.mkdir(parents=True)
    (install / ".install.json").write_text('{"title": "something"}')
    generation = folder / "generations" / name
    (generation / "install").mkdir(parents=True)
    (generation / "install" / "it").symlink_to(install)
    (generation / ACTIVATION).write_text('{"units": []}')
    return generation


def activation(folder: Path, state: str, **more: Any) -> Activation:
    return Activation(**{**_fields(folder, state), **more})


def _fields(folder: Path, state: str) -> dict[str, Any]:
    return {
        "scope": "system",
        "state": state,
        "config": str(folder / "config"),
        "generations": str(folder / "generations"),
        "units_folder": str(folder / "a file/units"),
        "wanted_by": "multi-user.target",
        "found": None,
        "who": "alice@desk",
        "taken_over": str(folder / "taken-over"),
    }


def target(folder: Path, state: str, *, found: str | None, failed: str) -> Path | str:
    return rollback._generation_that_passed(activation(folder, state, found=found), failed)


def test_a_host_goes_back_to_what_it_was_found_with(tmp_path: Path, state: str) -> None:
    for name in ("old", "found", "new"):
        keep(tmp_path, name)
    for name in ("found", "old"):
        note_verdict(state, "alice@desk", name, PASS)
    assert target(tmp_path, state, found="found", failed="new") == tmp_path / "generations" / "found"


def test_what_never_passed_its_verification_is_passed_over(tmp_path: Path, state: str) -> None:
    for name in ("old", "unverified", "failed", "new"):
        keep(tmp_path, name)
    note_verdict(state, "alice@desk", "old", PASS)
    note(state, "activated", "unverified", "alice@desk")
    note_verdict(state, "alice@desk", "failed", FAIL)
    for found in ("unverified", "failed", "new", None):
        assert target(tmp_path, state, found=found, failed="new") == tmp_path / "generations" / "old"


def test_of_several_that_held_the_last_is_taken(tmp_path: Path, state: str) -> None:
    for name in ("new", "b", "a"):
        keep(tmp_path, name)
    for name in ("a", "b", "removed"):
        note_verdict(state, "alice@desk", name, PASS)
    assert target(tmp_path, state, found="new", failed="new") == tmp_path / "generations" / "b"


def test_the_first_generation_has_nothing_to_go_back_to(tmp_path: Path, state: str) -> None:
    keep(tmp_path, "new")
    assert target(tmp_path, state, found=None, failed="new") == "no generation that is kept here has passed before"


def test_a_generation_that_passed_before_is_not_left_for_an_older_one(tmp_path: Path, state: str) -> None:
    """What broke is something else on the host, and an older configuration is not what its owner wants."""
    for name in ("old", "same"):
        keep(tmp_path, name)
        note_verdict(state, "alice@desk", name, PASS)
    told = target(tmp_path, state, found="same", failed="same")
    assert isinstance(told, str)
    assert "this same generation passed before" in told


def test_a_generation_without_its_installs_is_no_way_back_and_they_are_named(tmp_path: Path, state: str) -> None:
    for name in ("found", "new"):
        keep(tmp_path, name)
    note_verdict(state, "alice@desk", "found", PASS)
    (tmp_path / "installs" / "of-found" / ".install.json").unlink()
    folder = tmp_path / "installs" / "of-found"
    told = target(tmp_path, state, found="found", failed="new")
    assert told == f"generation found passed before, but of its installs it ({folder}) are gone"


def test_a_failed_verification_is_written_down_and_told_before_that_there_is_no_way_back(
    tmp_path: Path, state: str
) -> None:
    keep(tmp_path, "new")
    request = GoBack(
        **_fields(tmp_path, state),
        failed="new",
        reason="1 of 24 checks fail\n    route/x: no words",
        verdict=FAIL,
        verified=True,
    )
    with pytest.raises(HostError) as told:
        rollback.main(request)
    reason, check, way_back = str(told.value).splitlines()
    assert reason == "generation new failed: 1 of 24 checks fail"
    assert "route/x: no words" in check
    assert way_back.startswith("There is nothing to roll back to: ")
    (event,) = events(state)
    assert (event["event"], event["generation"], event["verdict"]) == ("verified", "new", "fail")


def test_when_going_back_fails_too_both_reasons_are_told(tmp_path: Path, state: str) -> None:
    for name in ("found", "new"):
        keep(tmp_path, name)
    note_verdict(state, "alice@desk", "found", PASS)
    request = activation(tmp_path, state, found="found")
    (tmp_path / "a file").write_text("where a folder is to be")
    told = str(rollback.go_back(request, "new", "no-such-flag"))
    assert told.index("generation new failed: no-such-flag") < told.index("THE ROLLBACK FAILED TOO: generation found")
    assert "a file/units" in told


UNVERIFIED = Outcome(status="unknown", summary="the verifier gave no verdict", seconds=0)


@pytest.mark.parametrize(
    ("verifier", "goes_back"), [("exit 3", False), ("echo '{}'", False), ('echo "$VERDICT"', True)]
)
def test_a_generation_that_was_not_verified_is_left_only_for_one_whose_verifier_works(
    tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch, verifier: str, goes_back: bool
) -> None:
    """What keeps every verifier from a verdict lies in the host: an older generation would not be better off."""
    monkeypatch.setenv("VERDICT", json.dumps({"checks": [], "seconds": 1}))
    config = tmp_path / "config"
    for name in ("found", "new"):
        folder = keep(tmp_path, name)
        (folder / "bin").mkdir()
        # As a generation's script does, it names what is current; that of the new generation crashes.
        script = f"#!/bin/sh\n. {config}/verifier.sh\n"
        (folder / "bin/verify").write_text(script)
        (folder / "verifier.sh").write_text(verifier if name == "found" else "echo 'KeyError: 7' >&2; exit 1")
    note_verdict(state, "alice@desk", "found", PASS)
    config.symlink_to(tmp_path / "generations/new")
    gone: list[str] = []

    def go_back(request: Activation, failed: str, reason: str) -> HostError:
        gone.append(failed)
        return HostError("gone")

    monkeypatch.setattr(rollback, "go_back", go_back)
    request = GoBack(
        **{**_fields(tmp_path, state), "found": "found"},
        failed="new",
        reason="the verifier gave no verdict",
        verdict=UNVERIFIED,
        verified=False,
    )
    with pytest.raises(HostError) as told:
        rollback.main(request)
    assert bool(gone) == goes_back
    if not goes_back:
        assert "generation new was not verified: the verifier gave no verdict\nIt stays active" in str(told.value)
        assert "gave no verdict: it ended with status" in str(told.value)
    assert passed_verifications(state) == ["found"], "the next run tries to verify it again"


def test_the_history_is_bounded_public_and_whole(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "KEPT_EVENTS", 3)
    for name in "abcde":
        note(state, "activated", name, "alice@desk", seconds=1.0)
    assert [event["generation"] for event in events(state)] == ["c", "d", "e"]
    assert stat.S_IMODE(history_file(state).stat().st_mode) == 0o644
    assert [path.name for path in Path(state).iterdir()] == ["history.jsonl"]
    assert all(json.loads(line) for line in history_file(state).read_text().splitlines())


def test_a_history_that_can_not_be_written_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note(str(tmp_path / "not there"), "activated", "a", "alice@desk")
    assert "history.jsonl could not be written: No such file or directory" in capsys.readouterr().out


GOOD_LINE = b'{"time": "t", "event": "verified", "generation": "%s", "who": "w", "verdict": "pass", "summary": "s"}'
BROKEN = {
    "half a line": b'{"time": "2026-11-24T12:00:00+00:00", "ev',
    "half a line before a whole one": b'{"time": "2026-11-24T12' + GOOD_LINE % b"lost",
    "zeros, as after a power cut": b"\0" * 4096,
    "no text": b"\xff\xfe\x80",
    "nothing of JSON": b"somebody was here",
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "nested for ever": b"[" * 100_000,
    "without a key": b'{"time": "t", "event": "verified", "who": "w", "verdict": "pass", "summary": "s"}',
    "without its reason": b'{"time": "t", "event": "failed", "generation": "g", "who": "w"}',
    "a name that is a number": GOOD_LINE.replace(b'"%s"', b"7"),
    "a kind that is a list": GOOD_LINE.replace(b'"verified"', b'["verified"]'),
    "a time that is null": GOOD_LINE.replace(b'"t"', b"null"),
    "half a character": GOOD_LINE % b"\\ud800",
    "two objects": GOOD_LINE % b"lost" + GOOD_LINE % b"lost",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_torn_or_foreign_line_costs_nothing_but_itself(state: str, broken: bytes, place: int) -> None:
    lines = [GOOD_LINE % b"a", GOOD_LINE % b"b"]
    lines.insert(place, broken)
    history_file(state).write_bytes(b"\n".join(lines))
    assert passed_verifications(state) == ["a", "b"]
    # For people: it tells also what lacks the reason.
    assert [event.generation for event in read_events(Path(state)) if event.generation != "g"] == ["a", "b"]


def test_what_is_written_next_keeps_the_good_lines_and_the_damaged_file_beside_them(
    state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = b"\n".join([GOOD_LINE % b"a", *BROKEN.values(), GOOD_LINE % b"b"])
    history_file(state).write_bytes(damaged)
    note_verdict(state, "alice@desk", "c", PASS)
    assert passed_verifications(state) == ["a", "b", "c"]
    (aside,) = Path(state).glob("history.jsonl.damaged-*")  # zeros alone are no line
    assert aside.read_bytes() == damaged
    assert f"{len(BROKEN) - 1} of its lines cannot be read" in capsys.readouterr().out
    note_verdict(state, "alice@desk", "d", PASS)
    assert len(list(Path(state).glob("history.jsonl.damaged-*"))) == 1


@pytest.mark.parametrize("stranger", ["folder", "pipe", "link to nothing", "link to itself"])
def test_a_history_that_is_no_file_counts_as_none_and_is_written_all_the_same(state: str, stranger: str) -> None:
    file = history_file(state)
    match stranger:
        case "folder":
            (file / "with a file").mkdir(parents=True)
        case "pipe":
            os.mkfifo(file)
        case "link to nothing":
            file.symlink_to("nowhere")
        case _:
            file.symlink_to(file.name)
    assert passed_verifications(state) == []
    assert read_events(Path(state)) == ()
    note_verdict(state, "alice@desk", "a", PASS)
    assert passed_verifications(state) == ["a"]


def test_what_a_later_version_writes_is_kept(state: str) -> None:
    line = '{"time": "t", "event": "moved", "generation": "a", "who": "w", "to": 7}'
    history_file(state).write_text(f"{line}\n")
    note_verdict(state, "alice@desk", "b", PASS)
    assert history_file(state).read_text().splitlines()[0] == line


def test_a_generation_is_not_forgotten_for_the_clock_of_the_day_it_was_written(tmp_path: Path, state: str) -> None:
    kept = [keep(tmp_path, f"g{number}") for number in range(8)]
    for generation in kept:
        note(state, "activated", generation.name, "alice@desk")
    # The clock was ahead when the first was written, and behind for the last.
    os.utime(kept[0], (2e9, 2e9))
    os.utime(kept[6], (0, 0))
    _forget_old_generations(kept[7], state)
    assert [generation.name for generation in kept if generation.exists()] == ["g3", "g4", "g5", "g6", "g7"]


def test_log_lines_of_a_service_are_not_written_down() -> None:
    reason = "x.service does not stay up (failed). It said last:\n    key=sk-secret"
    assert first_line(reason) == "x.service does not stay up (failed)"
