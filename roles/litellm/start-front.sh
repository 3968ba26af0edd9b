# Starts the front: start-front HOLDERS CONFIGURATION WATCH BACKEND NAME=PORT …
#
# HAProxy gets a map of the digests of all keys to their holders, in a file that only it can read: the keys are neither
# in its configuration, which everybody may read, nor in its command line, nor in its memory. Whatever changes the keys
# changes the map in HAProxy's memory; a start makes it anew from the environment.
if [ -z "$LITELLM_MASTER_KEY" ]; then
    echo "fatal: no LITELLM_MASTER_KEY is given: run the deploy again" >&2
    exit 78
fi
umask 077
/usr/bin/python3 -I "$1" LITELLM_MASTER_KEY > "$RUNTIME_DIRECTORY/keys" || exit 1
unset LITELLM_MASTER_KEY
configuration=$2
shift 2
# Beside HAProxy, and ended with it: what sees that an instance is frozen.
(
    unset INSTANCE_KEY
    watch=$1
    shift
    while sleep 1; do
        /usr/bin/python3 -I "$watch" "$RUNTIME_DIRECTORY/runtime.sock" "$@"
    done
) &
exec /usr/sbin/haproxy -db -f "$configuration"
