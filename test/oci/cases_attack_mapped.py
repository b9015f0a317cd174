"""The attacks of Security on containers that have a user namespace, and on
those of an ordinary user."""
import os

import runtime as rt
from cases_edges import Security
from cases_rootless import UserTest
from user_runtime import ids

HOST_ID = 200000


class MappedRuntime(rt.Runtime):
    """Each bundle has a user namespace, and its root is that one's."""

    def bundle(self, *args):
        bundle = super().bundle(*args)
        bundle.linux["namespaces"].append({"type": "user"})
        bundle.linux.update(uidMappings=ids((0, HOST_ID, 65536)),
                            gidMappings=ids((0, HOST_ID, 65536)))
        os.chmod(bundle.path, 0o711)
        return bundle

    def save_new(self, bundle):
        for directory, names, files in os.walk(bundle.rootfs):
            for name in ["."] + names + files:
                os.lchown(os.path.join(directory, name), HOST_ID, HOST_ID)
        return super().save_new(bundle)


class SecurityWithUserNamespace(Security):
    @classmethod
    def setUpClass(cls):
        cls.runtime = MappedRuntime()

    def test_is_mapped(self):
        b = self.runtime.bundle("/bin/cat", "/proc/self/uid_map")
        self.assertEqual(self.runtime.run(b).stdout.split(),
                         ["0", str(HOST_ID), "65536"])


class SecurityOfUser(UserTest, Security):
    """Of one id."""

    # The container's user is the only one, and kills no process of root's.
    test_null_as_a_stream_keeps_its_owner = None
    test_pid_of_another_process_is_not_killed = None
