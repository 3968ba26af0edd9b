"""The checks: each module contains some, and reports what is seen when one fails."""
