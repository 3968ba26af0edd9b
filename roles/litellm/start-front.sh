# Starts the front: start-front CONFIGURATION WATCH BACKEND NAME=PORT …
#
# HAProxy gets a digest of the clients' key ($LITELLM_MASTER_KEY), in a file that only it can read. The key itself is
# neither in its configuration, which every user can read, nor on its command line, nor in its memory. A deploy that
# changes the key changes the list in HAProxy's memory; a start reads the key again.
if [ -z "$LITELLM_MASTER_KEY" ]; then
    echo "fatal: no LITELLM_MASTER_KEY is given: run the deploy again" >&2
    exit 78
fi
umask 077
printf %s "$LITELLM_MASTER_KEY" | sha256sum | cut -c -64 > "$RUNTIME_DIRECTORY/keys" || exit 1
unset LITELLM_MASTER_KEY
configuration=$1
shift
# Runs beside HAProxy, and stops with it: the check for frozen instances.
(
    unset INSTANCE_KEY
    watch=$1
    shift
    while sleep 1; do
        /usr/bin/python3 -I "$watch" "$RUNTIME_DIRECTORY/runtime.sock" "$@"
    done
) &
exec /usr/sbin/haproxy -db -f "$configuration"
