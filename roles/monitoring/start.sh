# Starts Prometheus: start-prometheus [VARIABLE …] -- COMMAND …
#
# Prometheus reads the keys for the pages that require one, and for those whom it writes to, from files, each with
# nothing else in it. They come in environment variables: each is written into a file of its name that only Prometheus
# can read, and that is in memory.
umask 077
while [ "$1" != -- ]; do
    if ! printenv "$1" > "$RUNTIME_DIRECTORY/$1"; then
        echo "fatal: no $1 is given: run the deploy again"
        exit 78
    fi
    shift
done
shift
exec "$@"
