"""A host's GPUs, and the wait until they are present and free: `gpu facts`, `gpu wait`.

Imports no other program, as it is also a generation's `bin/gpu`: `start.py`, with the rest below `lib/`. Units run that
before their server, in the same sandbox. Reads `nvidia-smi`, /proc and /sys; changes nothing.
"""
