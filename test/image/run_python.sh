#!/bin/bash
# Runs a Python test, with mounts that vanish when it ends, whatever happens.
export PYTHONDONTWRITEBYTECODE=1
exec unshare --mount --propagation private python3 "$@"
