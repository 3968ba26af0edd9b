"""Letting go of the driver: its packages stay, and apt treats them as any others again."""

from __future__ import annotations

from roles.contract.driver import LeaveDriver
from roles.host.programs.console import say
from roles.host.programs.driver import apt
from roles.host.programs.driver.look import installed_packages
from roles.host.programs.driver.record import read_record, remove_record


def main(request: LeaveDriver) -> None:
    record = read_record(request.state)
    if record:
        apt.release({*record.held} & {*installed_packages()})
    if apt.forget():
        say("the driver's own files for apt: removed")
    remove_record(request.state)
