"""The verdict: how a check becomes a record, and how verdicts are kept and compared."""
