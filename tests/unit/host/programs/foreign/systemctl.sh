#!/bin/sh
# A stand-in for `systemctl`, for tests on temporary folders: each unit that runs is a file in $STAND_IN/active.
command=$1
shift
case $command in
show)
    case $1 in
    --property=UnitPath) echo "$UNIT_PATH"; exit ;;
    esac
    shift
    for unit; do
        [ -e "$STAND_IN/active/$unit" ] && state=active || state=inactive
        printf 'Id=%s\nActiveState=%s\nUnitFileState=enabled\n\n' "$unit" "$state"
    done
    ;;
start) for unit; do : > "$STAND_IN/active/$unit"; done ;;
stop) for unit; do rm -f "$STAND_IN/active/$unit"; done ;;
esac
