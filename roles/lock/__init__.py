"""The lock: the exact identity and size of everything that an inventory's plans refer to, in a file beside it."""

from roles.lock.entries import Entry, LockContent
from roles.lock.file import LockError, lock_file, read_lock_file, write_lock_file
from roles.lock.incomplete import incomplete
from roles.lock.known import locked_facts
from roles.lock.obey import pins_of, problems
from roles.lock.references import Reference, merged, references_of
from roles.lock.update import Update, updated

__all__ = [
    "Entry",
    "LockContent",
    "LockError",
    "Reference",
    "Update",
    "incomplete",
    "lock_file",
    "locked_facts",
    "merged",
    "pins_of",
    "problems",
    "read_lock_file",
    "references_of",
    "updated",
    "write_lock_file",
]
