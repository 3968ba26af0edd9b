"""Fetch and build what the next deploy needs. What runs is left alone."""

from roles.deploy import prepare

prepare()
