#!/usr/bin/env python3
"""Writes the bundle with which runtimes are measured.

    bundle.py DIR [--seccomp]

What a Kubernetes container asks of a runtime: five new namespaces, seven
mounts, masked and read-only paths, limits on memory, processes and CPU, the
usual fourteen capabilities, no new privileges. Its program is /bin/true of
Debian's busybox-static. --seccomp adds a filter as large as Docker's default:
all system calls of the 64 and 32 bit tables but those for administrators, for
three architectures, with rules on arguments.
"""
import argparse
import glob
import json
import os
import re
import shutil

CAPABILITIES = ["CAP_" + name for name in """
    AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE
    NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT""".split()]
MASKED = """
    /proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats
    /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi
    /sys/firmware""".split()
READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()
# Not for containers, or allowed below with rules of their own.
NOT_PLAINLY = set("""
    acct add_key bpf clock_adjtime clock_adjtime64 clock_settime
    clock_settime64 clone clone3 create_module delete_module fanotify_init
    finit_module fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy
    init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
    kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount
    mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree
    perf_event_open personality pivot_root process_vm_readv process_vm_writev
    ptrace query_module quotactl quotactl_fd reboot request_key set_mempolicy
    set_mempolicy_home_node setdomainname sethostname setns settimeofday
    socket stime swapoff swapon syslog sysfs umount umount2 unshare uselib
    userfaultfd ustat vhangup vm86 vm86old""".split())


def mount(target, kind, *options):
    return {"destination": target, "type": kind, "source": kind,
            "options": list(options)}


MOUNTS = [
    mount("/proc", "proc", "nosuid", "noexec", "nodev"),
    mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance",
          "ptmxmode=0666", "mode=0620"),
    mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777",
          "size=65536k"),
    mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    mount("/tmp", "tmpfs", "nosuid", "nodev", "mode=1777", "size=65536k"),
]


def system_calls():
    names = set()
    for header in ("unistd_64.h", "unistd_32.h"):
        for path in glob.glob("/usr/include/**/asm/" + header, recursive=True):
            with open(path, encoding="ascii") as file:
                names |= set(re.findall(r"^#define __NR_(\w+)", file.read(),
                                        re.MULTILINE))
    if len(names) < 300:
        raise SystemExit("bundle.py: no system call tables in /usr/include "
                         "(Debian package linux-libc-dev)")
    return names


def seccomp():
    def rule(name, value, operator, second=0):
        return {"names": [name], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": value, "valueTwo": second,
                          "op": "SCMP_CMP_" + operator}]}

    rules = [{"names": sorted(system_calls() - NOT_PLAINLY),
              "action": "SCMP_ACT_ALLOW"}]
    for persona in (0, 8, 0x20000, 0x20008, 0xffffffff):
        rules.append(rule("personality", persona, "EQ"))
    rules.append(rule("socket", 40, "NE"))  # AF_VSOCK
    # No new namespace by any of these flags.
    rules.append(rule("clone", 0x7e020000, "MASKED_EQ", 0))
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO",
                  "errnoRet": 38})
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
                              "SCMP_ARCH_X32"],
            "syscalls": rules}


def config(with_seccomp):
    linux = {
        "namespaces": [{"type": name} for name in
                       ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}],
            "memory": {"limit": 64 << 20},
            "pids": {"limit": 100},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000}},
    }
    if with_seccomp:
        linux["seccomp"] = seccomp()
    sets = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.2",
        "hostname": "perf",
        "root": {"path": "rootfs", "readonly": True},
        "mounts": MOUNTS,
        "linux": linux,
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "cwd": "/",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "noNewPrivileges": True,
            "capabilities": {name: CAPABILITIES for name in sets}},
    }


def write(folder, with_seccomp):
    root = os.path.join(folder, "rootfs")
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc", "root"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    shutil.copy("/bin/busybox", os.path.join(root, "bin/busybox"))
    os.symlink("busybox", os.path.join(root, "bin/true"))
    with open(os.path.join(folder, "config.json"), "w",
              encoding="ascii") as file:
        json.dump(config(with_seccomp), file, indent=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir")
    parser.add_argument("--seccomp", action="store_true")
    options = parser.parse_args()
    write(options.dir, options.seccomp)
