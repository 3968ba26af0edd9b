"""`deploys/clients.py`: what it lists, and when it makes keys."""

from __future__ import annotations

from pathlib import Path

from tests.plan.fake import run_pyinfra

STACK = "small_stack(clients=[Client(name='ada', rpm=5), Client(name='bob', routes=['n'])])"


def test_clients_are_listed_and_nothing_is_done_where_all_have_keys(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', {STACK}, keys=[['ada', 'bob', 'eve'], []])]", "clients.py")
    assert run.status == 0, run.output
    assert "ada: all routes, 5 requests a minute; without an end; key made on the host" in run.output
    assert "bob: routes n; without an end; key made on the host" in run.output
    assert "eve: no longer in the inventory" in run.output
    assert run.programs() == ["client_keys"]


def test_missing_keys_are_made_under_the_lock(tmp_path: Path) -> None:
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', {STACK}, keys=[['ada'], ['bob']])]", "clients.py")
    assert "bob: routes n; without an end; no key yet" in run.output
    assert run.steps() == ["client_keys", "deploy_lock", "make_keys", "deploy_lock"]
    rotated = run_pyinfra(
        tmp_path,
        f"hosts = [fake('box', {STACK}, keys=[['ada', 'bob'], []])]",
        "clients.py",
        options=("--data", "rotate=ada"),
    )
    assert rotated.steps() == ["client_keys", "deploy_lock", "make_keys", "deploy_lock"]


def test_two_clients_with_one_key_are_refused_before_any_host_gets_a_command(tmp_path: Path) -> None:
    clients = "Client(name='ada', key=EnvSecret('ONE')), Client(name='bob', key=EnvSecret('TWO'))"
    same = {"ONE": "sk-the-same-0123456789", "TWO": "sk-the-same-0123456789"}
    run = run_pyinfra(tmp_path, f"hosts = [fake('box', small_stack(clients=[{clients}]))]", **same)
    assert run.status == 1
    assert 'client "ada" and client "bob" have the same key; give each its own' in run.output
    assert run.programs() == []
    assert same["ONE"] not in run.output


def test_what_a_deploy_changes_is_said_before_and_with_it(tmp_path: Path) -> None:
    before = "plan_of(small_stack(clients=[Client(name='eve')]))"
    contents = f"""
import hashlib
from roles.plan import resolve
def kept(current):
    old = resolve({before}, PLATFORM)
    digests = {{path: hashlib.sha256(file.content).hexdigest() for path, file in old.files.items()}}
    texts = {{digests[path]: file.content.decode() for path, file in old.files.items() if file.mode & 4}}
    entry = {{"name": "0ld", "written": "", "files": digests, "installs": {{}}, "missing_installs": []}}
    return {{"active": "0ld", "generations": [entry], "texts": texts, "events": []}}
hosts = [fake('box', {STACK}, lambda read: read.update(generation='0ld', files={{}}), history=kept)]
"""
    run = run_pyinfra(tmp_path, contents, "preflight.py")
    assert run.status == 0, run.output
    assert "would change client eve: removed, and its key refused" in run.output
    assert "would change client bob: added (routes n, gpt-4o)" in run.output
    run = run_pyinfra(tmp_path, contents)
    assert "changes client ada: added (all routes, 5 requests a minute)" in run.output
