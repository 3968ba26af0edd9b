"""The names and shapes that cross a border: control machine and host, plan and verifier, one version and the next.

Each stands here once, and both sides take it from here. Standard library only: it is shipped to hosts too. Shared names
are no shared logic: the verifier still checks what is deployed, not what was meant.
"""
