"""What every case has: a runtime, and a clean end."""
import os
import unittest

import runtime as rt
from peers import PEERS


class RuntimeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runtime = rt.Runtime()

    @classmethod
    def tearDownClass(cls):
        cls.runtime.close()

    def setUp(self):
        test = type(self).__name__ + "." + self._testMethodName
        known = PEERS.get(self.runtime.name(), {})
        reason = known.get(test) or known.get(type(self).__name__)
        if reason and not os.environ.get("OCI_ALL"):
            self.skipTest("known of %s: %s" % (self.runtime.name(), reason))

    def tearDown(self):
        self.runtime.clean()

    def assertFails(self, done, *words):
        self.assertNotEqual(done.returncode, 0, done.stdout)
        if self.runtime.name() == "crun":
            return  # has words of its own
        for word in words:
            self.assertIn(word.lower(), done.stderr.lower())


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
