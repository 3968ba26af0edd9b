"""Options of Redis. Options for one of Redis's settings have its name."""

from __future__ import annotations

from pydantic import Field

from roles.options import Cache, MemorySize, Name, Port, Seconds


class Redis(Cache):
    """A Redis server, from Debian, that keeps everything in memory and nothing on disk."""

    name: Name = Field("redis", examples=['name="cache"'])
    """Name of it in messages and reports."""
    port: Port = Field(6379, examples=["port=6380"])
    """TCP port to listen on."""
    maxmemory: MemorySize = Field("256M", examples=['maxmemory="1G"'])
    """Memory for its data; when that is full, the least recently used entries are removed."""
    start_timeout: Seconds = Field(30, examples=["start_timeout=60"])
    """Seconds that it may take from start to its first answer."""
