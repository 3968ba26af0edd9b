"""How the state of a host is read: its gateway's API, systemd, sockets, processes and files. Nothing here judges."""
