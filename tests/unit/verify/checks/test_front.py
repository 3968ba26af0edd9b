"""The check of the front's keys, against HAProxy's side of its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from roles.contract.environment_file import environment_text
from roles.contract.holders import key_digest
from roles.contract.verdict import Check
from roles.verify.checks import front as module
from roles.verify.checks.front import keys_check
from roles.verify.context import VerificationContext
from roles.verify.generation import Front, Gateway, Generation, Service

FRONT = Front("s", "gateways", ("a",), "keys", ("made/bob.env", "given.env"))
HOLDERS = {key_digest("sk-m"): "master:0", key_digest("sk-ada"): "ada:0", key_digest("sk-bob"): "bob:99"}


def checked(folder: Path, known: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """The check where HAProxy knows those keys."""
    (folder / "made").mkdir()
    (folder / "made/bob.env").write_text(environment_text({"CLIENT_KEY_bob": key_digest("sk-bob")}))
    (folder / "given.env").write_text(
        environment_text({"KEY": "sk-m", "CLIENTS": "ada:0 bob:99 eve:0", "CLIENT_KEY_ada": key_digest("sk-ada")})
    )
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    service = Service("f.service", "127.0.0.1", 4000, "", 1, folder)
    gateway = Gateway(service, "", folder / "given.env", "KEY", folder, "", "", 0, folder=folder, front=FRONT)
    generation = Generation(folder, folder, folder, "system", gateway, (), ())
    context = VerificationContext(generation, None, folder)  # type: ignore[arg-type]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == f"show map {folder}/keys\n".encode()
        writer.write("".join(f"0x5{n:x} {key} {holder}\n" for n, (key, holder) in enumerate(known.items())).encode())
        await writer.drain()
        writer.close()

    async def run() -> Check:
        async with await asyncio.start_unix_server(answer, folder / "s"):
            return await keys_check(FRONT, context)

    return asyncio.run(run())


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "one too much": ({"0" * 64: "mallory:0"}, "to be refused: mallory"),
    "one too few": ({key_digest("sk-ada"): None}, "not as declared: ada"),
    "with another end": ({key_digest("sk-bob"): "bob:0"}, "not as declared: bob; to be refused: bob"),
}


@pytest.mark.parametrize(("change", "seen"), CASES.values(), ids=CASES)
def test_other_keys_than_declared_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], seen: str
) -> None:
    known = {digest: holder for digest, holder in {**HOLDERS, **change}.items() if holder}
    check = checked(tmp_path, known, monkeypatch)
    assert (check.ok, check.code, check.seen) == (False, "keys-differ", seen)


def test_a_client_without_a_key_yet_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = checked(tmp_path, HOLDERS, monkeypatch)
    assert (check.ok, check.seen) == (True, "2 of clients; no key yet: eve")
