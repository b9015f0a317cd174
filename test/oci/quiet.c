// A program that makes one system call, exit(2), and so runs under any filter.
// For the linker's -nostdlib. Its exit status is 7.
void _start(void) {
#if defined(__x86_64__)
  __asm__ volatile("syscall" : : "a"(60), "D"(7));
#elif defined(__aarch64__)
  register long number __asm__("x8") = 93;
  register long status __asm__("x0") = 7;
  __asm__ volatile("svc 0" : : "r"(number), "r"(status));
#endif
  __builtin_unreachable();
}
