"""What the bench raises."""

from __future__ import annotations


class BenchError(Exception):
    """A run failed or said something unexpected: its figures would mean nothing."""
