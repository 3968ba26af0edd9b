# Starts Redis with the password in $REDIS_PASSWORD: start.sh CONFIGURATION
#
# Redis takes a password from its configuration or its command line. Every user can read the first, in a generation, and
# the second, in the process list. So the password goes in over standard input, and as a hash, which needs no quotes,
# whatever characters the password contains.
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -c -64)
exec /usr/bin/redis-server "$1" - <<END
user default on #$hash ~* &* +@all
END
