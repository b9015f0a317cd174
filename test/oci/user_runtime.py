"""A runtime that an ordinary user runs.

The user exists in a mount namespace of each call alone, where /etc/passwd and
its like are files of the suite's: nothing of the machine is changed.
"""
import os
import shutil
import subprocess

import runtime as rt

UID, GID = 54321, 54322
SUB = 700000  # the first of its subordinate ids
SUB_COUNT = 65536
FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n"
              "suite:x:%d:%d::/:/bin/sh\n" % (UID, GID),
    "group": "root:x:0:\nsuite:x:%d:\n" % GID,
    "subuid": "suite:%d:%d\n" % (SUB, SUB_COUNT),
    "subgid": "suite:%d:%d\n" % (SUB, SUB_COUNT),
}
BECOME = """
for name in passwd group subuid subgid; do
  [ -e /etc/$name ] || continue
  mount --bind "$0/$name" /etc/$name || exit 99
done
exec setpriv --reuid=%d --regid=%d --clear-groups -- "$@"
""" % (UID, GID)
# A user namespace of its own, of which it is root, before the runtime.
AS_ROOT = ["unshare", "--user", "--map-root-user", "--mount"]


def can_map():
    """Whether newuidmap(1) is there, and the files that it reads."""
    return bool(shutil.which("newuidmap")) and os.path.exists("/etc/subuid")


def ids(*lines):
    return [dict(zip(("containerID", "hostID", "size"), line))
            for line in lines]


class UserRuntime(rt.Runtime):
    def __init__(self):
        super().__init__()
        etc = os.path.join(self.directory, "etc")
        os.mkdir(etc)
        for name, text in FILES.items():
            with open(os.path.join(etc, name), "w") as f:
                f.write(text)
        # Where the program lies the user may not be able to go.
        program = os.path.join(self.directory, "bin", self.name())
        os.mkdir(os.path.dirname(program))
        shutil.copy(shutil.which(self.command[0]), program)
        self.command[0] = program
        self.prefix = ["unshare", "--mount", "--propagation", "slave", "--",
                       "sh", "-c", BECOME, etc]
        self.own = os.path.join(self.directory, "own")
        os.mkdir(self.own, 0o700)
        os.chown(self.own, UID, GID)
        os.chown(self.directory, UID, GID)
        os.chmod(self.directory, 0o755)

    def inside_user_namespace(self):
        """From here on the runtime is root, but of a user namespace."""
        self.prefix = self.prefix + AS_ROOT

    def environment(self, **more):
        env = dict(os.environ, XDG_RUNTIME_DIR=self.own)
        env.pop("USER", None)
        env.update(more)
        return env

    def call(self, *args, **kwargs):
        if kwargs.get("env") is None:
            kwargs["env"] = self.environment()
        return super().call(*args, **kwargs)

    def bundle(self, *args):
        bundle = super().bundle(*args)
        bundle.linux["namespaces"].append({"type": "user"})
        bundle.linux.update(uidMappings=ids((0, UID, 1)),
                            gidMappings=ids((0, GID, 1)))
        del bundle.linux["resources"]
        return bundle

    def map_more(self, bundle):
        bundle.linux.update(
            uidMappings=ids((0, UID, 1), (1, SUB, 1000)),
            gidMappings=ids((0, GID, 1), (1, SUB, 1000)))

    def save_new(self, bundle):
        container = self.new_id()
        bundle.save()
        subprocess.run(["chown", "-R", "--no-dereference",
                        "%d:%d" % (UID, GID), bundle.path], check=True)
        return container
