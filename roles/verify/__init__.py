"""The verifier: checks that what is deployed on a host runs, and that every route answers from the right backend.

It runs on the host (`bin/verify`, see `start.py`) with few packages of its own. It reads only the files of the
generation: it checks what is deployed, not what was intended. The control machine uses `Verdict` and the reports too.
"""

from roles.contract.verdict import Check, Verdict
from roles.verify.loading import ConfigError, load_generation
from roles.verify.reports import EARLIER, FORMS, print_report
from roles.verify.request_way import nothing_of, request_way
from roles.verify.run import verify
from roles.verify.verdict.kept import VERDICTS
from roles.verify.verdict.kept_apis import APIS, failed_apis
from roles.verify.verdict.reading import read_verdict

__all__ = [
    "APIS",
    "EARLIER",
    "FORMS",
    "VERDICTS",
    "Check",
    "ConfigError",
    "Verdict",
    "failed_apis",
    "load_generation",
    "nothing_of",
    "print_report",
    "read_verdict",
    "request_way",
    "verify",
]
