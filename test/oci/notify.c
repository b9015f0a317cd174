/* notify TEXT...: sends each text to $NOTIFY_SOCKET, as sd_notify(3) does. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || strlen(path) >= sizeof(name.sun_path)) return 1;
  strcpy(name.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  for (int i = 1; i < argc; i++) {
    if (sendto(fd, argv[i], strlen(argv[i]), 0, (struct sockaddr *)&name,
               sizeof(name)) < 0)
      return 2;
  }
  return 0;
}
