"""Verify every host of the inventory as it is, at any time; `--data report=FOLDER` for files, `--data verify=apis` to
ask as client programs do. Changes nothing."""

from roles.deploy import verify

verify()
