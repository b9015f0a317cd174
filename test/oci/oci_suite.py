#!/usr/bin/env python3
"""What any OCI runtime with runc's command line must do.

  OCI_RUNTIME=/usr/sbin/runc ./oci_suite.py [TestClass.test_name ...]

Needs root, busybox-static and cgroups. The same suite passes on Debian's runc
and crun: what a peer does otherwise is named in peers.py, with the reason.
"""
import os
import sys
import unittest

from cases_attack import ProgramFile  # noqa: F401
from cases_attack_edges import Asked, Lengths, OtherDoors  # noqa: F401
from cases_attack_mapped import (SecurityOfUser,  # noqa: F401
                                 SecurityWithUserNamespace)
from cases_attack_race import Races  # noqa: F401
from cases_cli import (CommandLine, Events, HandedOver,  # noqa: F401
                       Texts)
from cases_confined import (Descriptors, Filter, KilledWhole,  # noqa: F401
                            Refused, Surroundings)
from cases_delegated import Delegated  # noqa: F401
from cases_dialect import (Again, CacheAndBandwidth, Dialect,  # noqa: F401
                           Links, ManyRules, MappedByOption,
                           WithoutMountNamespace)
from cases_edges import Configuration, Exec, Hooks, Security  # noqa: F401
from cases_fields import Huge, Scheduling  # noqa: F401
from cases_mounts import Mounts, Updates  # noqa: F401
from cases_net import MountNamespaces, NetDevices  # noqa: F401
from cases_notify import Ready  # noqa: F401
from cases_process import Lifecycle, Process, Terminal  # noqa: F401
from cases_rootless import (Rootless, RootlessCgroup,  # noqa: F401
                            RootlessRoot)
from cases_rootless_maps import (CrunsMaps,  # noqa: F401
                                 InsideUserNamespace, RootlessMaps)
from cases_systemd import Scope, ScopeEnds, ScopeName  # noqa: F401
from cases_time import Notified, TimeNamespaces  # noqa: F401
from cases_visible import (SharedPids, SharedUserNamespace,  # noqa: F401
                           Thief)
from cases_world import (Limits, Namespaces, Root, Seccomp,  # noqa: F401
                         UserNamespace)

if __name__ == "__main__":
    if os.geteuid() != 0 or "OCI_RUNTIME" not in os.environ:
        sys.exit("needs root, and OCI_RUNTIME: the runtime to be tested")
    unittest.main(verbosity=1)
