"""Names and shapes that cross a border: control machine and host, plan and verifier, one version and the next.

Each is defined here once, and both sides import it from here. Standard library only: it is shipped to hosts too. Shared
names are not shared logic: the verifier still checks what is deployed, not what was meant.
"""
