"""Sources that mean harm, on a real host: the programs that a deploy runs there, as root, fetch and unpack from them.

After each, all of the host's disk is as it was, but for the folder that the install had for itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from roles.contract.recipes import Archive, ArchiveSource, HubModelRecipe, ReleaseRecipe, SourceBuildRecipe
from roles.contract.requests import MakeInstall, PrepareSystem, Prune, Request, UnpackArchive
from roles.host.program import _BOOTSTRAP, PACKAGE, payload
from roles.host.state import BUILD_USER
from tests.hostile.archives import ARCHIVES, entry, tar
from tests.hostile.hub import CONTENT, LISTS, PATTERNS, REPOSITORY, HostileServer, head
from tests.lab.conftest import NewHost
from tests.labhost import Lab, LabError, LabHost
from tests.requests import make_install

# Not the cache of deploys: that is shared with other hosts.
STATE, CACHE, INSTALLS = "/var/lib/ai-backend", "/var/cache/hostile", "/opt/ai-backend"
PATIENT = {"a part that nobody asked for"}
"""What is tried again for a minute before it fails."""
_WRITE = """mkdir -p /run/hostile /opt/ai-backend/alone && python3 -c '
import base64, json, pathlib, sys
for number, content in enumerate(json.load(sys.stdin)):
    pathlib.Path("/run/hostile", str(number)).write_bytes(base64.b64decode(content))
'"""
CONFINED = (
    "named by absolute", "named by far up", "a link that leads out by another", "a hard link to an absolute path",
    "a character device", "a sparse file of GNU", "a file of a petabyte", "an extended header of gigabytes",
)  # fmt: skip
_RUN_ALL = """
import builtins, functools, io, json, os, sys, tempfile
import bz2, fnmatch, hashlib, lzma, pwd, re, subprocess, tarfile, unicodedata, urllib.request
bootstrap, modules, cases = json.load(sys.stdin)
builtins.compile = functools.cache(builtins.compile)  # a hundred times the same programs
for name, text in modules.items():
    compile(text, name, "exec")
said = {}
for name, case in cases.items():
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        sys.stdin = io.StringIO(json.dumps({"modules": modules, **case}))
        exec(bootstrap, {"__name__": "__main__"})
        sys.exit()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    out.seek(0), err.seek(0)
    said[name] = [status, out.read().decode(), err.read().decode()]
print(json.dumps(said))
"""
_LIST = """
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \\
    -o -path /var/log -o -path /var/cache/hostile -o -path /var/cache/ai-backend -o -path /var/cache/apt \\
    -o -path /opt/ai-backend -o -path /var/lib/ai-backend/turn -o -path /var/lib/systemd \\) -prune \\
    -o -type d -printf '%p %y %m %U %G\\n' -o -printf '%p %y %m %U %G %n %s %T@ %l\\n' | sort
"""


@dataclass(frozen=True)
class Said:
    status: int
    output: str
    error: str


def run_all(host: LabHost, cases: Mapping[str, Request]) -> dict[str, Said]:
    """Run host programs one after the other, each in a process of its own as a deploy would, in one login."""
    sent = {what: json.loads(payload(request)) for what, request in cases.items()}
    *_, modules = [each.pop("modules") for each in sent.values()]  # the same of all
    host.run("cat > /run/run-all.py", input=_RUN_ALL)
    done = host.run("python3 /run/run-all.py", input=json.dumps([_BOOTSTRAP, modules, sent]), timeout=240)
    return {name: Said(*said) for name, said in json.loads(done.stdout).items()}


def run_code(host: LabHost, code: str) -> None:
    """Run a few lines as root with the host programs at hand."""
    sent = json.loads(payload(Prune(state="", folders=(), commands=())))
    start = _BOOTSTRAP.partition("\nprogram =")[0].replace("json.load(sys.stdin)", repr(sent))
    host.run("python3 -", input=f"{start}\n{code}")


def listing(host: LabHost) -> list[str]:
    """All that lies on the host's disk, but for the folders of installs."""
    return host.run(_LIST).stdout.splitlines()


def unchanged(host: LabHost, before: list[str]) -> None:
    assert sorted({*before} ^ {*listing(host)}) == []


def fails(said: Said, *words: str) -> None:
    """One message that holds those words, and no other."""
    assert said.status == 1, said
    assert "Traceback" not in said.error, said.error
    message = said.error.removesuffix("\n")
    assert message.isprintable(), message
    for word in words:
        assert word in message, message


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """A host on which an earlier version has deployed: the user who builds owns the folders for what is fetched."""
    host = new_module_host("hostile", small_disks={INSTALLS: "600M"})
    host.run("apt-get install --yes --no-install-recommends zstd acl", timeout=300)
    host.run(f"useradd --system --home-dir {CACHE} --no-create-home --shell /usr/sbin/nologin {BUILD_USER}")
    host.run(f"mkdir -p {CACHE}/downloads {CACHE}/build {STATE} && chown {BUILD_USER}: {CACHE}/downloads {CACHE}/build")
    return host


def address_of(lab: Lab) -> str:
    return lab.mirror_url.removeprefix("http://").partition(":")[0]


@pytest.fixture
def served(lab: Lab) -> Iterator[HostileServer]:
    with HostileServer(address_of(lab), {}) as server:
        yield server


def release(
    server: HostileServer, name: str, content: bytes, check: str = "bin/program", says: str = "1.2.3"
) -> MakeInstall:
    """The install of a program whose archive is that."""
    digest = hashlib.sha256(content).hexdigest()
    server.answers[f"/{digest}/x.tgz"] = lambda: head(200, content)
    archives = (Archive(f"{server.url}/{digest}/x.tgz", digest),)
    recipe = ReleaseRecipe(archives=archives, check=(check,), says=says)
    folder = Path(INSTALLS, "release", digest[:16])
    return make_install(folder, recipe, name, cache=CACHE, state=STATE, build_user=BUILD_USER)


def test_no_archive_changes_anything_outside_its_folder(host: LabHost, served: HostileServer) -> None:
    """All of them with all rights of root, as nothing but the checks could then stop them; some as a deploy does."""
    contents = {what: make() for what, make in ARCHIVES.items()}
    host.run(_WRITE, input=json.dumps([base64.b64encode(content).decode() for content in contents.values()]))
    before = listing(host)
    folder = f"{INSTALLS}/alone"
    said = run_all(
        host,
        {what: UnpackArchive(archive=f"/run/hostile/{number}", folder=folder) for number, what in enumerate(contents)},
    )
    assert len(said) >= 60
    for what, one in said.items():
        assert re.fullmatch("refused: .+\n", one.output), f"{what}: {one}"
        assert one.error == "", what
    unchanged(host, before)
    for what, one in run_all(host, {what: release(served, what, contents[what]) for what in CONFINED}).items():
        fails(one, f"{what}: unpacking x.tgz: ")
    unchanged(host, before)
    assert host.run(f"find {INSTALLS} -type f ! -path '{folder}/*'").stdout == ""
    assert int(host.run(f"du -sm {INSTALLS}").stdout.split()[0]) < 20


def test_no_hub_changes_anything_outside_its_folder(lab: Lab, host: LabHost) -> None:
    before, cases = listing(host), {}
    with contextlib.ExitStack() as stack:
        for what in LISTS.keys() - PATIENT:
            server = stack.enter_context(HostileServer(address_of(lab), LISTS[what], lambda: head(200, CONTENT)))
            recipe = HubModelRecipe(
                endpoint=server.url, repository=REPOSITORY, revision="main", files=PATTERNS, sha256=None
            )
            folder = Path(STATE, "models/hostile")
            cases[what] = make_install(folder, recipe, what, state=STATE)
        said = run_all(host, cases)
    assert len(said) >= 60
    for what in said:
        fails(said[what])
    assert host.run(f"find {STATE}/models -type f").stdout == ""
    host.run(f"rm -r {STATE}/models")
    unchanged(host, before)


def test_links_that_the_user_who_builds_lays_in_the_way_change_nothing(host: LabHost, served: HostileServer) -> None:
    """That user has all names that there are to guess, in folders that an earlier version had given away."""
    good = tar()
    digest = hashlib.sha256(good).hexdigest()
    as_builder = f"setpriv --reuid {BUILD_USER} --regid {BUILD_USER} --clear-groups sh -c"
    host.run(f"rm -rf {CACHE}; mkdir -p {CACHE}/uv {CACHE}/ccache {CACHE}/downloads {CACHE}/build")
    host.run(f"chown {BUILD_USER}: {CACHE}/*")
    names = [f"{digest}{end}" for end in ("", ".part", "-x.tgz", "-x.tgz.part", ".tar.gz", ".box")]
    links = [*(f"downloads/{name}" for name in names), "build/built", "uv/link", "ccache/link"]
    host.run(f"{as_builder} 'cd {CACHE} && for link in {' '.join(links)}; do ln -s /etc/shadow $link; done'")
    # As a file of root's that was linked there while nobody forbade it, and a cache that was another user's.
    host.run(f"ln /etc/gshadow {CACHE}/uv/other && mkdir {CACHE}/uv/own && chown -h nobody: {CACHE}/uv {CACHE}/uv/own")
    before = listing(host)
    system = PrepareSystem(
        state=STATE, packages=(), keep_off=(), build_user=BUILD_USER, users=(), cache=CACHE, folders=(), lingering=False
    )
    source = ArchiveSource(url=f"{served.url}/{digest}/x.tgz", sha256=digest, subdirectory=None)
    request = release(served, "a good one", good)
    recipe = SourceBuildRecipe(source=source, cmake_options={"CMAKE_INSTALL_RPATH": ""}, targets=(), output="bin")
    built = replace(request, folder=f"{INSTALLS}/source-build/built", recipe=recipe)
    said = run_all(host, {"system": system, "release": request, "build": built})
    assert said["system"].status == said["release"].status == 0, said
    fails(said["build"], "no CMakeLists.txt in `.` of the source")
    unchanged(host, before)
    assert host.run(f"stat -c %U {CACHE}/downloads {CACHE}/build {CACHE}/uv {CACHE}/uv/own").stdout.split() == [
        "root", "root", BUILD_USER, BUILD_USER,
    ]  # fmt: skip
    folder = request.folder
    assert host.run(f"find {folder} ! -user root -o -perm /7022 ! -type l").stdout == ""
    assert host.run(f"{folder}/bin/program").stdout == "1.2.3\n"


def test_a_program_that_is_tried_can_change_and_reach_nothing(host: LabHost, served: HostileServer) -> None:
    tries = [
        "touch /etc/planted", f"touch {CACHE}/planted", f"touch {CACHE}/uv/planted", f"touch {CACHE}/downloads/planted",
        f"touch {STATE}/planted", f"touch {INSTALLS}/planted", "touch $0.planted", "chmod u+s $0", "rm $0",
        "cat /etc/shadow", "cat /proc/1/environ", "kill -0 1", "ls /root/.", "mount -t tmpfs none /tmp",
        "cp /bin/sh /tmp/sh && chmod u+s /tmp/sh", "unshare --user true", f"curl -sm 2 {served.url}/",
        "curl -sm 2 http://127.0.0.1:22/ --http0.9", "ls /dev/kmsg",
    ]  # fmt: skip
    lines = "\n".join(f"({line}) >/dev/null 2>&1 && echo 'could {line}'" for line in tries)
    script = f"#!/bin/sh\n{lines}\n(sleep 1000; touch /tmp/late) >/dev/null 2>&1 &\necho tried all\n"
    before = listing(host)
    content = tar(entry("bin/hostile", script.encode(), mode=0o755))
    request = release(served, "hostile", content, check="bin/hostile", says="not to be said")
    said = run_all(host, {"try": request})["try"]
    fails(said, "bin/hostile does not say 'not to be said' but 'tried all'")
    unchanged(host, before)
    assert host.run(f"pgrep -u {BUILD_USER}", check=False).stdout == ""
    assert host.run("systemctl list-units --all --no-legend 'ai-backend-build-*'").stdout == ""


@pytest.mark.parametrize(
    ("made", "why"),
    [
        pytest.param("mkfifo pipe", "pipe' is neither a file nor a folder nor a link", id="a pipe"),
        pytest.param("ln ../outside inside", "inside' has another name outside of what was made", id="a hard link out"),
        pytest.param("mkdir -p $(seq -s / 300)", "more than 200 folders below each other", id="folders without end"),
    ],
)
def test_a_tree_that_holds_what_none_should_is_not_taken(host: LabHost, made: str, why: str) -> None:
    tree = built_by(host, made)
    with pytest.raises(LabError, match=re.escape(why)):
        take(host, tree)
    assert host.run(f"stat -c %U {tree}").stdout == f"{BUILD_USER}\n"


def test_a_tree_that_is_taken_is_roots_alone(host: LabHost) -> None:
    made = (
        "mkdir folder; touch file program .install.json; ln file folder/second; ln -s /etc/shadow link; "
        "chmod 777 folder; chmod 666 file; chmod 6755 program; setfacl -m u:nobody:rwx file folder; "
        "setfacl -d -m u:nobody:rwx folder; (sleep 1000 >/dev/null 2>&1 &)"
    )
    before = listing(host)
    tree = built_by(host, made)
    take(host, tree)
    assert host.run(f"find {tree} ! -user root -o ! -group root").stdout == ""
    assert host.run(f"find {tree} ! -type l -perm /7022").stdout == ""
    assert "nobody" not in host.run(f"getfacl -pR {tree}").stdout
    assert host.run(f"ls {tree}/.install.json", check=False).returncode != 0
    assert host.run(f"pgrep -u {BUILD_USER}", check=False).stdout == ""
    unchanged(host, before)


def built_by(host: LabHost, script: str) -> str:
    """A tree that the user who builds has made with a script."""
    tree = f"{INSTALLS}/made/tree"
    host.run(f"rm -rf {INSTALLS}/made && mkdir -p {tree} && chown -R {BUILD_USER}: {INSTALLS}/made")
    command = f"cd {tree} && touch ../outside && {script}"
    host.run(f"setpriv --reuid {BUILD_USER} --regid {BUILD_USER} --clear-groups sh -c {shlex.quote(command)}")
    host.run(f"chown root: {INSTALLS}/made")
    return tree


def take(host: LabHost, tree: str) -> None:
    run_code(
        host,
        f"import pathlib\nfrom {PACKAGE}.installers.handover import take\n"
        f"take({BUILD_USER!r}, pathlib.Path({tree!r}), 'a tree')",
    )


def test_what_a_killed_run_left_in_a_unit_is_stopped_by_the_next(host: LabHost, served: HostileServer) -> None:
    slow = tar(entry("bin/slow", b"#!/bin/sh\nsleep 1000\n", mode=0o755))
    request = release(served, "slow", slow, check="bin/slow")
    host.run("cat > /run/slow", input=payload(request))
    host.run("cat > /run/bootstrap", input=_BOOTSTRAP)
    host.run('python3 -c "$(cat /run/bootstrap)" install < /run/slow > /run/said 2>&1 &')
    units = "systemctl list-units --no-legend 'ai-backend-build-*'"
    host.run(f"for try in $(seq 100); do pgrep -u {BUILD_USER} sleep && break; sleep 0.1; done")
    assert "running" in host.run(units).stdout
    host.run("pkill -KILL -f '[h]ost_lock.one_at_a_time'; pkill -KILL systemd-run")
    started = time.monotonic()
    said = run_all(host, {"good": release(served, "good", tar(entry("another", b"one")))})["good"]
    assert said.status == 0, said
    assert time.monotonic() - started < 30
    assert host.run(units).stdout == ""
