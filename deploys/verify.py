"""Prove every host of the inventory as it is, at any time. Changes nothing."""

from roles.deploy import verify

verify()
