"""What is on a host and is not ours: whether it is in the way, and how that is said. Judged from recorded facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.foreign import notes
from roles.host.pending import pending_steps, unmet_needs
from roles.ollama import Ollama, OllamaRelease
from roles.options import Stack
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, converged_state, native, python, route, small_stack, user_scope

OLLAMA = Ollama(release=OllamaRelease(version="0.32.15"), models=["x"])
STACK = small_stack(providers=[native(), OLLAMA], routes=[route("n", "native"), route("x", "ollama")], aliases={})
VENDORS_UNIT = {"path": "/etc/systemd/system/ollama.service", "owner": "root"}
VENDORS_DROP_IN = {"path": "/etc/systemd/system/ollama.service.d/override.conf", "owner": "root"}
VENDORS = {
    "name": "ollama.service",
    "files": [VENDORS_UNIT],
    "drop_ins": [VENDORS_DROP_IN],
    "active": True,
    "enabled": True,
    "description": "Ollama Service",
    "program": "/usr/local/bin/ollama",
    "user": "ollama",
}
HAS_11434 = {"process": "ollama", "pid": 612, "user": "ollama", "unit": "ollama.service"}
FOLDER = {
    "path": "/etc/ai-backend",
    "kind": "a folder",
    "owner": "bob",
    "changed": "2026-01-02",
    "entries": ["config.yaml"],
}
NATIVE = "llama-server@native.service"
BEGUN = {
    "name": "ollama.service",
    "time": "2026-01-02T03:04:05+00:00",
    "who": "ann@desk",
    "generation": "a",
    "same_name": True,
}


def found(stack: Stack = STACK, *, fresh: bool = True, **foreign: Any) -> HostState:
    """A host that runs the stack, or nothing of it yet, with that on it besides; `ports` come on top of its own."""
    plan = plan_of(stack)
    state = converged_state(plan, resolve(plan, PLATFORM, reveal=lambda _: "x" * 20))
    if fresh:
        state.update(generation=None, activated=None, linked_units=[], wanted_links=[], units={}, ports={})
    state["ports"] |= foreign.pop("ports", {})
    return read(HostState, {**state, "foreign": foreign})


def needs(state: HostState, *take_over: str, stack: Stack = STACK) -> list[str]:
    plan = plan_of(stack)
    return unmet_needs(plan, resolve(plan, PLATFORM, reveal=lambda _: "x" * 20), state, take_over)


def taken(state: HostState, *take_over: str) -> Sequence[str]:
    plan = plan_of(STACK)
    return pending_steps(plan, resolve(plan, PLATFORM, reveal=lambda _: "x" * 20), state, take_over).take_over


def test_the_vendors_ollama_is_named_with_its_drop_ins_and_port_and_what_there_is_to_choose() -> None:
    state = found(units=[VENDORS], ports={"11434": [HAS_11434]})
    assert needs(state) == [
        "ollama.service is there and is not ours: /etc/systemd/system/ollama.service (root's) "
        '("Ollama Service"), runs '
        "/usr/local/bin/ollama as user ollama, is running, has port 11434, starts at boot. The drop-in "
        "/etc/systemd/system/ollama.service.d/override.conf (root's) would change ours. Choose: "
        "`--data take_over=ollama.service` (deploys/full.py stops it and keeps its files, and deploys/rollback.py "
        "gives it back; its models stay where they are); or remove it yourself, or give the service another `name` and "
        "`port` in the inventory"
    ]
    assert needs(state, "ollama.service") == []
    assert taken(state, "ollama.service") == ("ollama.service",)
    assert taken(state) == ()


PACKAGED = {"path": "/usr/lib/systemd/system/ollama.service", "owner": "root", "package": "ollama"}
MASK = {"path": f"/etc/systemd/system/{NATIVE}", "owner": "root", "target": "/dev/null"}


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        pytest.param(
            {"units": [{"name": NATIVE, "files": [MASK]}]},
            f"{NATIVE} is masked, by the link /etc/systemd/system/{NATIVE} (root's)",
            id="a mask",
        ),
        pytest.param(
            {"units": [{"name": "ollama.service", "files": [PACKAGED], "active": True}]},
            "/usr/lib/systemd/system/ollama.service (of package ollama), is running",
            id="a package's unit that runs",
        ),
        pytest.param(
            {"units": [{"name": "ollama.service", "active": True, "program": "/opt/x"}]},
            "ollama.service is there and is not ours: runs /opt/x, is running",
            id="a process whose unit file is gone",
        ),
        pytest.param(
            {"units": [{"name": NATIVE, "files": [{"path": f"/run/systemd/system/{NATIVE}", "owner": "root"}]}]},
            f"/run/systemd/system/{NATIVE} (root's), is stopped",
            id="a unit until the next boot",
        ),
        pytest.param(
            {"units": [{"name": NATIVE, "files": [{"path": "/etc/x/u", "owner": "bob", "target": "/home/bob/u"}]}]},
            "/etc/x/u (bob's, a link to /home/bob/u)",
            id="a link to a file of a user",
        ),
        pytest.param(
            {"units": [{"name": NATIVE, "drop_ins": [{"path": "/x/llama-server@.service.d/a.conf", "owner": "bob"}]}]},
            f"the drop-in /x/llama-server@.service.d/a.conf (bob's) would change our {NATIVE}, and is not ours",
            id="a drop-in of the template",
        ),
        pytest.param(
            {"units": [{"name": NATIVE, "drop_ins": [{"path": "/x/llama-.service.d/a.conf", "owner": "bob"}]}]},
            "/x/llama-.service.d/a.conf (bob's) changes llama-server@native.service and all units whose names begin",
            id="a drop-in for many units",
        ),
        pytest.param(
            {"folders": [FOLDER]},
            "/etc/ai-backend is there and is not ours: a folder of user bob with config.yaml, changed 2026-01-02. "
            "Choose: `--data take_over=/etc/ai-backend`",
            id="the configuration's place",
        ),
        pytest.param(
            {"folders": [{**FOLDER, "path": "/var/lib/ai-backend"}]},
            "`mv /var/lib/ai-backend /var/lib/ai-backend.before`, once nothing uses it",
            id="the place of models",
        ),
        pytest.param(
            {"users": [{"name": "ai-backend-gateway", "uid": 1001, "home": "/home/g", "shell": "/bin/bash"}]},
            "the user ai-backend-gateway (number 1001, home /home/g, shell /bin/bash) is there and is not as the stack",
            id="a person with the name of a service's user",
        ),
        pytest.param(
            {"ports": {"4000": [{"process": "python3", "pid": 7, "user": "bob"}]}},
            "port 4000, which ai-backend-front.service needs, is taken by process 7 (python3) of user bob: stop that "
            "(`kill 7`, and what starts it), or give the service another `port`",
            id="a bare process",
        ),
        pytest.param(
            {"ports": {"4000": [{"process": "p", "pid": 7, "user": "bob", "unit": "x.service", "manager": "bob"}]}},
            "x.service of bob's own systemd manager, process 7 (p) of user bob: `--data take_over=bob:x.service`",
            id="a unit of a user",
        ),
        pytest.param(
            {"ports": {"8080": [{"process": "nginx", "pid": 7, "user": "root", "unit": "nginx.service"}]}},
            "is taken by nginx.service, process 7 (nginx) of user root: `--data take_over=nginx.service`",
            id="another unit",
        ),
        pytest.param(
            {
                "ports": {
                    "11434": [
                        {
                            "process": "docker-proxy",
                            "pid": 7,
                            "user": "root",
                            "unit": "docker.service",
                            "container": {"engine": "docker", "name": "web", "image": "ollama/ollama"},
                        }
                    ]
                }
            },
            'taken by the container "web" (docker, image ollama/ollama): `docker stop web`, and see that nothing',
            id="a container",
        ),
        pytest.param(
            {"ports": {"8080": [{"process": "pasta", "pid": 7, "user": "bob", "container": {"engine": "podman"}}]}},
            "whose name cannot be read (podman): `podman stop NAME` as bob, and see that nothing starts it again",
            id="a container of a user",
        ),
        pytest.param(
            {"ports": {"8080": [{"process": "p", "pid": 7, "user": "bob", "unit": "x.service", "manager": ":system"}]}},
            "is taken by x.service of the host's own systemd manager, process 7 (p) of user bob: have an administrator "
            "run `systemctl disable --now x.service`, or give the service another `port`",
            id="a service of the host, for a user's stack",
        ),
        pytest.param(
            {"ports": {"8080": [{"process": "systemd", "pid": 7, "user": "bob", "manager": "bob"}]}},
            "is taken by a socket unit of bob's own systemd manager, process 7 (systemd) of user bob: stop that "
            "(`systemctl --user list-sockets` as bob shows which), or give",
            id="a socket of a user's manager",
        ),
        pytest.param(
            {"ports": {"8080": [{"process": "x", "pid": 7, "container": {"engine": "podman", "id": "0123456789ab"}}]}},
            "taken by the container 0123456789ab (podman): `podman stop 0123456789ab`, and see that nothing",
            id="a container whose engine does not answer",
        ),
        pytest.param(
            {"ports": {"8080": [{}]}}, "is taken by a process that cannot be seen: stop that", id="nobody knows what"
        ),
    ],
)  # fmt: skip
def test_each_thing_is_named_with_what_it_is_whose_and_what_to_do(foreign: dict[str, Any], told: str) -> None:
    (need,) = needs(found(**foreign))
    assert told in need


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param({"units": [{"name": "ollama.service", "files": [PACKAGED]}]}, id="a package's unit that is off"),
        pytest.param({"others": ["haproxy.service"]}, id="another's HAProxy on other ports"),
        pytest.param(
            {"users": [{"name": "ollama", "uid": 998, "home": "/usr/share/ollama", "shell": "/bin/false"}]},
            id="the vendor's user",
        ),
        pytest.param(
            {
                "users": [
                    {"name": "ai-backend-front", "uid": 9, "home": "/nonexistent", "shell": "/usr/sbin/nologin"},
                    {
                        "name": "ai-backend-build",
                        "uid": 8,
                        "home": "/var/cache/ai-backend",
                        "shell": "/usr/sbin/nologin",
                    },
                ]
            },
            id="our own users",
        ),
    ],
)
def test_what_is_not_in_the_way_is_left_alone(foreign: dict[str, Any]) -> None:
    assert needs(found(**foreign)) == []
    assert needs(found(fresh=False, **foreign)) == []


def test_what_stays_is_said_and_our_own_users_are_not() -> None:
    state = found(
        others=["haproxy.service"],
        users=[
            {"name": "ollama", "uid": 998, "home": "/usr/share/ollama", "shell": "/bin/false"},
            {"name": "ai-backend-front", "uid": 9, "home": "/nonexistent", "shell": "/usr/sbin/nologin"},
        ],
        taken_over=[{**BEGUN, "finished": True}],
    )
    haproxy, user, record = notes(plan_of(STACK), state)
    assert haproxy.startswith("haproxy.service runs here and is not ours: it stays as it is")
    assert user.startswith("the user ollama (number 998, home /usr/share/ollama, shell /bin/false) is there")
    assert "lies in /etc/ai-backend-taken-over: deploys/rollback.py to before that gives it back" in record


def test_a_drop_in_for_a_unit_that_is_ours_already_is_in_the_way_too() -> None:
    state = found(fresh=False, units=[{"name": "ollama.service", "drop_ins": [VENDORS_DROP_IN]}])
    (need,) = needs(state)
    assert "would change our ollama.service, and is not ours" in need
    assert taken(state, "ollama.service") == ("ollama.service",)


def test_a_name_that_means_nothing_is_refused_with_the_nearest() -> None:
    state = found(units=[VENDORS])
    assert needs(state, "ollama.service", "ollama.servise") == [
        'take_over: nothing in the way is called "ollama.servise"; did you mean "ollama.service"?'
    ]
    assert needs(found(), "nginx") == ['take_over: nothing in the way is called "nginx"; there is nothing to take over']
    assert needs(found(), "ollama.service", "/etc/ai-backend") == [], "on the other hosts of an inventory"


def test_what_a_killed_run_has_begun_is_finished_without_being_asked_again() -> None:
    state = found(units=[{"name": "ollama.service", "drop_ins": [VENDORS_DROP_IN]}], taken_over=[BEGUN])
    assert needs(state) == []
    assert taken(state) == ("ollama.service",)


def test_in_user_scope_nothing_of_others_is_offered() -> None:
    stack = small_stack(scope=user_scope(), providers=[native(), python()])
    other = {"process": "p", "pid": 7, "user": "bob", "unit": "x.service", "manager": "bob"}
    state = found(stack, ports={"8080": [other]})
    (need,) = needs(state, stack=stack)
    assert "take_over" not in need
    assert "`systemctl --user disable --now x.service` as bob" in need
    file = {"path": "/etc/systemd/user/llama-server@native.service", "owner": "root"}
    (need,) = needs(found(stack, units=[{"name": NATIVE, "files": [file]}]), stack=stack)
    assert need.endswith(". It lies outside of the home: have an administrator remove it")
    assert "take_over" not in need
