"""Options of Redis. Options for one of Redis's settings have its name."""

from __future__ import annotations

from roles.options import Cache, MemorySize, Name, Port, Seconds


class Redis(Cache):
    """A Redis server, from Debian, that keeps everything in memory and nothing on disk."""

    name: Name = "redis"
    """Name of it in messages and reports."""
    port: Port = 6379
    """TCP port to listen on."""
    maxmemory: MemorySize = "256M"
    """Memory for its data; when that is full, the least recently used entries are removed."""
    start_timeout: Seconds = 30
    """Seconds that it may take from start to its first answer."""
