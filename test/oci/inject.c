// Puts a character into the input of the terminal on its standard input
// (TIOCSTI), as if the user had typed it, and prints what came of it.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int main(void) {
  const int failed = ioctl(0, TIOCSTI, "!") != 0;
  printf("injected: %s\n", failed ? strerror(errno) : "yes");
  return 0;
}
