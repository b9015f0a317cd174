#!/bin/bash
# Runs a Python test, with mounts that vanish when it ends, whatever happens.
exec unshare --mount --propagation private python3 "$@"
