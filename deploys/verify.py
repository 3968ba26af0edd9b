"""Verify every host of the inventory as it is, at any time; `--data report=FOLDER` for files. Changes nothing."""

from roles.deploy import verify

verify()
