"""Options of Redis. Where Redis has a setting for one, the option has its name."""

from __future__ import annotations

from roles.options import Cache, MemorySize, Name, Port, Seconds


class Redis(Cache):
    """A Redis server, Debian's, that keeps everything in memory and nothing on disk."""

    name: Name = "redis"
    """Name of it in messages and reports."""
    port: Port = 6379
    """TCP port to listen on."""
    maxmemory: MemorySize = "256M"
    """Memory for what it keeps; when that is full, what was not used for the longest time goes."""
    start_timeout: Seconds = 30
    """Seconds that it may take from start to its first answer."""
