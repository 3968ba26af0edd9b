"""Roll back to the generation that passed before, or to `--data generation=NAME`, and verify it."""

from roles.deploy import rollback

rollback()
