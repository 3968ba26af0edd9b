"""The verifier: verifies that what is deployed on a host runs and that every route answers, from where it should.

It runs on the host (`bin/verify`, see `start.py`) with few packages of its own, and reads only the files of the
generation: it checks what is deployed, not what was meant. `Verdict` and the reports are of use on the control machine
too.
"""

from roles.contract.verdict import Check, Verdict
from roles.verify.generation import ConfigError, load_generation
from roles.verify.reports import EARLIER, FORMS, print_report
from roles.verify.run import verify
from roles.verify.verdict.kept import VERDICTS
from roles.verify.verdict.reading import read_verdict

__all__ = [
    "EARLIER",
    "FORMS",
    "VERDICTS",
    "Check",
    "ConfigError",
    "Verdict",
    "load_generation",
    "print_report",
    "read_verdict",
    "verify",
]
