// Makes one system call by a door that a 64-bit profile does not speak of:
// "x32" or "i386". The exit status is 7 if the kernel came back at all.
#include <string.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
#if defined(__x86_64__)
  long result = strcmp(argv[1], "x32") == 0 ? 0x40000000 + 39 : 20;  // getpid
  if (result != 20) {
    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
  } else {
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  }
#endif
  return 7;
}
