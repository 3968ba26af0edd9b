# Starts Redis with the password in $REDIS_PASSWORD: start.sh CONFIGURATION
#
# Redis takes a password from its configuration or its command line. The one lies in a generation that everybody may
# read, and so does the other in the list of processes: so it is told over its standard input. And it is told a hash,
# which needs no quotes, whatever the password holds.
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -c -64)
exec /usr/bin/redis-server "$1" - <<END
user default on #$hash ~* &* +@all
END
