"""Reboot the hosts of the inventory one by one (`--data at_once=yes`: all), and verify each."""

from roles.deploy import reboot

reboot()
