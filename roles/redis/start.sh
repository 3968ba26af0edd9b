# Starts Redis with the password in $REDIS_PASSWORD: start.sh CONFIGURATION
#
# Redis takes a password from its configuration or its command line. Everybody may read both: the one lies in a
# generation, the other is in the list of processes. So Redis gets the password over its standard input; as a hash,
# which needs no quotes, whatever characters the password has.
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -c -64)
exec /usr/bin/redis-server "$1" - <<END
user default on #$hash ~* &* +@all
END
