# Starts the front: start-front CONFIGURATION WATCH BACKEND NAME=PORT …
#
# HAProxy gets a digest of the clients' key ($LITELLM_MASTER_KEY), in a file that only it can read: the key is neither in
# its configuration, which everybody may read, nor in its command line, nor in its memory. A deploy that changes the
# key changes the list in HAProxy's memory; a start reads the key anew.
if [ -z "$LITELLM_MASTER_KEY" ]; then
    echo "fatal: no LITELLM_MASTER_KEY is given: run the deploy again" >&2
    exit 78
fi
umask 077
printf %s "$LITELLM_MASTER_KEY" | sha256sum | cut -c -64 > "$RUNTIME_DIRECTORY/keys" || exit 1
unset LITELLM_MASTER_KEY
configuration=$1
shift
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
