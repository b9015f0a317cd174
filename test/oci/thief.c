// What a container gets hold of through the processes that appear beside it.
//
//   thief MARKER NAME STOP
//
// Looks at every other process of its pid namespace, over and over, until the
// file STOP exists. MARKER is a file of the host, NAME one in the directory
// that the runtime is started in. Prints how many processes it has looked at,
// and how often there was something of the host:
//
//   seen N root N cwd N fd N pidfd N
//
// root, cwd: MARKER or NAME could be reached; fd: a directory from which MARKER
// can be, or a socket, an eventpoll or a signalfd, in /proc/PID/fd; pidfd: the
// same, by pidfd_getfd(2).
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UP "/../../../../../../../../../../"
#define MAX_PID (1 << 22)

static long roots, cwds, fds, pidfds;
static const char *marker, *name;

static int reaches(const char* directory, const char* up, const char* file) {
  char path[4600];
  snprintf(path, sizeof(path), "%s%s%s", directory, up, file);
  return access(path, F_OK) == 0;
}

// `link` is in a folder "fd".
static int is_prize(const char* link) {
  char target[4200];
  const ssize_t n = readlink(link, target, sizeof(target) - 1);
  if (n <= 0) return 0;
  target[n] = 0;
  if (strncmp(target, "socket:", 7) == 0) return 1;
  if (strstr(target, "[eventpoll]") || strstr(target, "[signalfd]")) return 1;
  return reaches(link, UP, marker);
}

static void look_at(int pid) {
  char path[300], link[600];
  snprintf(path, sizeof(path), "/proc/%d/root", pid);
  roots += reaches(path, "", marker) || reaches(path, UP, marker);
  snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
  cwds += reaches(path, "/", name) || reaches(path, UP, marker);
  snprintf(path, sizeof(path), "/proc/%d/fd", pid);
  DIR* directory = opendir(path);
  if (directory != NULL) {
    for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
      if (entry->d_name[0] == '.') continue;
      snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
      fds += is_prize(link);
    }
    closedir(directory);
  }
  const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  for (int fd = 0; pidfd >= 0 && fd < 32; ++fd) {
    const int stolen = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (stolen < 0) continue;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", stolen);
    pidfds += is_prize(link);
    close(stolen);
  }
  if (pidfd >= 0) close(pidfd);
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  marker = argv[1];
  name = argv[2];
  char* known = calloc(MAX_PID, 1);
  long seen = 0;
  while (access(argv[3], F_OK) != 0) {
    DIR* proc = opendir("/proc");
    for (struct dirent* entry; (entry = readdir(proc)) != NULL;) {
      const int pid = atoi(entry->d_name);
      if (pid <= 0 || pid == getpid()) continue;
      seen += !known[pid % MAX_PID];
      known[pid % MAX_PID] = 1;
      look_at(pid);
    }
    closedir(proc);
  }
  printf("seen %ld root %ld cwd %ld fd %ld pidfd %ld\n", seen, roots, cwds, fds,
         pidfds);
  return 0;
}
