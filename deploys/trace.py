"""Show one request's way through each host, from the id that its client got: `--data request=ID`. Changes nothing."""

from roles.deploy import trace

trace()
