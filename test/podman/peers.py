"""What may differ in test/podman, and why.

Keys are (part, peer, step); None stands for any part or peer.
"""

# Steps that a peer does not pass. Ours has to.
PEERS = {
}

# Steps where ours is otherwise than a peer that passes.
DIFFERENCES = {
    (None, None, "build"):
        "buildah asks for ambient capabilities that it does not make "
        "inheritable: the specification wants a warning",
    ("root", "crun", "privileged"): "1.8 makes /dev/core",
}


def lookup(table, key):
    part, peer, step = key
    for one in ((part, peer, step), (None, peer, step), (part, None, step),
                (None, None, step)):
        if one in table:
            return table[one]
    return None
