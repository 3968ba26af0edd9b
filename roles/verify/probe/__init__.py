"""How a host is seen: its gateway's API, systemd, sockets, processes and files. Nothing here judges."""
