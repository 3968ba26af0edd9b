"""The lab by hand: ``python -m tests.labhost``."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from tests.labhost.errors import LabError
from tests.labhost.image import DEFAULT_RELEASE, RELEASES, base_image, say
from tests.labhost.lab import Lab
from tests.labhost.programs import require
from tests.labhost.wheels import lab_wheels

Command = Callable[[Lab, argparse.Namespace], None]


def up(lab: Lab, options: argparse.Namespace) -> None:
    started = time.monotonic()
    mirror = not options.no_mirror
    host = lab.create(options.name, release=options.release, nested=options.nested, mirror=mirror)
    say(f"{host.name} is running at {host.address} after {time.monotonic() - started:.1f} s")
    say(f"  ssh -F {host.ssh_config} {host.name}")
    if mirror:
        say(f"  it finds the files of {lab.folders.files} at {lab.mirror_url}/")


def down(lab: Lab, options: argparse.Namespace) -> None:
    names = [host.name for host in lab.list()] if options.all else [lab.host(options.name).name]
    lab.sweep()  # a host whose supervisor was killed goes so
    for host in lab.list():
        if host.name in names:
            host.destroy()
    say(f"gone: {', '.join(names) or 'there was none'}")


def ssh(lab: Lab, options: argparse.Namespace) -> None:
    command = lab.host(options.name).ssh_command(*options.command)
    os.execvp(command[0], command)


def reboot(lab: Lab, options: argparse.Namespace) -> None:
    started = time.monotonic()
    lab.host(options.name).reboot()
    say(f"{options.name} is running again after {time.monotonic() - started:.1f} s")


def show(lab: Lab, options: argparse.Namespace) -> None:
    for host in lab.list():
        # Another process may remove it meanwhile.
        with contextlib.suppress(LabError):
            state = "on" if host.is_on() else "off"
            owner = f"owned by process {host.spec.owner.pid}" if host.spec.owner else "until `down`"
            print(f"{host.name}\t{host.address}\t{host.spec.release}\t{state}\t{owner}")


def image(lab: Lab, options: argparse.Namespace) -> None:
    print(base_image(lab.folders, options.release))


def files(lab: Lab, options: argparse.Namespace) -> None:
    from tests.labhost.files import lab_models  # needs gguf and numpy, which the other commands do without

    for name, model in lab_models(lab.folders).items():
        print(f"{model.sha256}  {name}")


def wheels(lab: Lab, options: argparse.Namespace) -> None:
    print((lab.folders.files / lab_wheels(lab.folders)).parent)


def clean(lab: Lab, options: argparse.Namespace) -> None:
    require(())
    lab.sweep()
    if hosts := lab.list():
        names = ", ".join(host.name for host in hosts)
        raise LabError(f"{names} still up: `python -m tests.labhost down --all`")
    for folder in (lab.folders.images, lab.folders.root / "cache", lab.folders.files):
        shutil.rmtree(folder, ignore_errors=True)
        say(f"removed {folder}")


def parser() -> argparse.ArgumentParser:
    about = "Throwaway Debian hosts with systemd."
    top = argparse.ArgumentParser(prog="python -m tests.labhost", description=about)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(does=does)
        return added

    uses = command("up", up, "make a host and boot it; it stays until `down`")
    uses.add_argument("name")
    uses.add_argument("--release", choices=RELEASES, default=DEFAULT_RELEASE)
    uses.add_argument("--nested", action="store_true", help="able to run a lab of its own")
    uses.add_argument("--no-mirror", action="store_true", help="do not serve files/ to the hosts")

    uses = command("down", down, "remove a host, or all")
    which = uses.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?")
    which.add_argument("--all", action="store_true")

    uses = command("ssh", ssh, "open a shell in a host, or run a command there")
    uses.add_argument("name")
    uses.add_argument("command", nargs=argparse.REMAINDER)

    uses = command("reboot", reboot, "reboot a host and wait until it runs again")
    uses.add_argument("name")

    command("list", show, "show the hosts: name, address, release, on or off, owner")
    uses = command("image", image, "build the base image of a release and print its folder")
    uses.add_argument("release", choices=RELEASES)
    command("files", files, "make what the mirror serves, and print the digests")
    command("wheels", wheels, "make what puts vLLM on a host without a GPU, and print its folder")
    command("clean", clean, "remove images, caches and files")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.does(Lab(), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
