"""Go back to the generation that held before, or to `--data generation=NAME`, and verify it."""

from roles.deploy import rollback

rollback()
