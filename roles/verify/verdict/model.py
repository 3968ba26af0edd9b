"""The verdict's types, until each module takes them from the contract."""

from roles.contract.verdict import HOST, SCHEMA, SCHEMA_NAME, Cause, Check, Status, Verdict

__all__ = ["HOST", "SCHEMA", "SCHEMA_NAME", "Cause", "Check", "Status", "Verdict"]
