// Makes system calls that the default filter of a container refuses, and some
// beside them that it does not; prints "NAME ERRNO" for each, 0 for success.
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void Say(const char* name, long result) {
  printf("%s %d\n", name, result < 0 ? errno : 0);
}

static long Socket(long family) {
  return syscall(SYS_socket, family, 2 /* SOCK_DGRAM */, 0);
}

int main(void) {
  const long above = 1L << 32;  // the kernel does not look there
  Say("unix", Socket(1));
  Say("inet", Socket(2));
  Say("nfc", Socket(39));
  Say("smc", Socket(43));
  Say("alg", Socket(38));
  Say("vsock", Socket(40));
  Say("alg-above", Socket(above | 38));
  Say("vsock-above", Socket(above | 40));
  Say("io_uring_setup", syscall(SYS_io_uring_setup, 0, 0));
  Say("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
  Say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  Say("bpf", syscall(SYS_bpf, 0, 0, 0));
  Say("userfaultfd", syscall(SYS_userfaultfd, -1));
  return 0;
}
