"""Programs that run on the host: Python's standard library only, sent over the connection, leaving nothing behind.

Each has a `main(request)` and is called by `roles.host.program.HostProgram`. What it prints on stdout is for people
(progress); a mistake or fault ends in one message on stderr and exit status 1. Every one can be killed at any moment
and run again.
"""
