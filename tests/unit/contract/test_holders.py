"""The map of keys: at the front's start and at a deploy the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from roles.contract import holders as module
from roles.contract.holders import clients_of, digest_variable, holders, key_digest

VARIABLES = {
    "KEY": "sk-the-gateways-own",
    "CLIENTS": "ada:0 bob-x:1767225600 eve:0",
    "CLIENT_KEY_ada": key_digest("sk-adas"),
    "CLIENT_KEY_bob_x": key_digest("sk-bobs"),
    "CLIENT_KEY_gone": key_digest("sk-of-one-who-is-gone"),
}


def test_each_declared_client_with_a_key_is_a_holder_and_nobody_else() -> None:
    assert holders(VARIABLES, "KEY") == {
        hashlib.sha256(b"sk-adas").hexdigest(): "ada:0",
        hashlib.sha256(b"sk-bobs").hexdigest(): "bob-x:1767225600",
        hashlib.sha256(b"sk-the-gateways-own").hexdigest(): "master:0",
    }
    assert clients_of(VARIABLES) == ["ada", "bob-x", "eve"]


def test_the_gateways_own_key_is_its_own_whatever_a_client_was_given() -> None:
    same = {**VARIABLES, "CLIENT_KEY_ada": key_digest("sk-the-gateways-own")}
    assert holders(same, "KEY")[key_digest("sk-the-gateways-own")] == "master:0"


def test_no_two_clients_share_a_variable() -> None:
    assert digest_variable("a-b") != digest_variable("ab")


def test_as_a_program_it_prints_the_map_and_no_key() -> None:
    assert module.__file__
    done = subprocess.run(
        [sys.executable, "-I", module.__file__, "KEY"], env=VARIABLES, capture_output=True, text=True, check=True
    )
    assert dict(line.split() for line in done.stdout.splitlines()) == holders(VARIABLES, "KEY")
    assert "sk-" not in done.stdout
