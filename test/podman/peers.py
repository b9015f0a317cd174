"""What may differ in test/podman, and why.

Keys are (part, peer, step); None stands for any part or peer.
"""

# Steps that a peer does not pass. Ours has to.
PEERS = {
    ("settings", "runc", "personality"): "1.1 ignores it",
    ("settings", "crun", "volume, propagation"): "1.8 leaves it private",
    ("settings", "crun", "volume, mounted later"): "as above",
}

# Steps where ours is otherwise than a peer that passes.
DIFFERENCES = {
    (None, None, "build"):
        "buildah asks for ambient capabilities that it does not make "
        "inheritable: the specification wants a warning",
    ("user", "runc", "user beyond the ids"): "has other words",
    ("user", "runc", "low score"): "1.1 fails, where podman has asked",
    ("user", "runc", "groups that are kept"): "ours knows crun's annotation",
    ("user", "runc", "annotation, groups"): "as above",
    ("verbs", "runc", "exec, in a folder that is missing"): "has other words",
    ("verbs", "runc", "userns, by path"): "has other words",
    ("verbs", "crun", "paused, killed"): "1.8 leaves it frozen",
    ("root", "crun", "privileged"): "1.8 makes /dev/core",
    ("settings", "crun", "devices that all have"): "as above",
    ("settings", "crun", "hook, with the container's state"):
        "1.8 calls it created",
    ("settings", "runc", "seccomp, unknown action"): "has other words",
    ("settings", "runc", "program without a shell's line"): "has other words",
    ("settings", "runc", "hook, failing"): "has other words",
    ("settings", "runc", "update, refused"): "has more words",
    ("settings", "runc", "update, one that does not run"): "has other words",
    ("settings", "runc", "volume, mapped"): "1.1 maps none",
    ("settings", "runc", "ulimit, of exec"):
        "1.1 raises the soft limit, as Go does",
    ("settings", "runc", "annotation, groups"):
        "ours knows crun's annotation",
    ("settings", "runc", "groups that are kept"): "as above",
    ("settings", "runc", "annotation, hooks' output"): "as above",
    ("settings", None, "ulimit, not allowed"):
        "ours warns, and raises it as far as it may",
    ("user", None, "rlimit that only root may raise"): "as above",
    ("user", "crun", "low score"): "1.8 fails, where podman has asked",
    ("settings", None, "update, processors seen"):
        "ours joins a hierarchy of v1 when a limit first asks for it: a "
        "container that runs does not see it",
    ("settings", None, "cgroups that it sees"): "as above",
}


def lookup(table, key):
    part, peer, step = key
    for one in ((part, peer, step), (None, peer, step), (part, None, step),
                (None, None, step)):
        if one in table:
            return table[one]
    return None
