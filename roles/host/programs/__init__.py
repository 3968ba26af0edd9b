"""Programs that run on the host: Python's standard library only, sent over the connection; nothing is left behind.

Each has a `main(request)` and is called by `roles.host.program.HostProgram`. Its stdout is for people (progress). A
mistake or fault ends in one message on stderr and exit status 1. Each can be killed at any moment and run again.
"""
