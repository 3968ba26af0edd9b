"""The one kind of error the lab tells a person about."""

from __future__ import annotations


class LabError(Exception):
    """Something a person can fix: one line that says what, where and how."""
