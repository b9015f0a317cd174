// Times a command, again and again, with as little of its own as can be.
//
//   stopwatch COMMANDS ANSWERS PROGRAM [ARGUMENT...]
//
// COMMANDS and ANSWERS are fifos. For every line read from the first, PROGRAM
// runs once, with "{n}" in its arguments replaced by the line, and one line
// goes to the second:
//
//   WALL_NS CPU_US PAGE_FAULTS CONTEXT_SWITCHES PEAK_RSS_KIB STATUS
//
// In C and linked statically because a child's peak begins at what its parent
// had: from a script of ours every runtime would look as large as Python.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *filled(const char *argument, const char *name) {
  static const char mark[] = "{n}";
  const char *at = strstr(argument, mark);
  if (at == NULL) return strdup(argument);
  char *text = NULL;
  if (asprintf(&text, "%.*s%s%s", (int)(at - argument), argument, name,
               at + sizeof(mark) - 1) < 0) {
    exit(1);
  }
  return text;
}

static long long nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long microseconds(struct timeval time) {
  return time.tv_sec * 1000000LL + time.tv_usec;
}

static int run(char **arguments, posix_spawn_file_actions_t *files,
               FILE *answers) {
  extern char **environ;
  pid_t child;
  int status;
  struct rusage used;
  const long long begin = nanoseconds();
  const int error =
      posix_spawnp(&child, arguments[0], files, NULL, arguments, environ);
  if (error != 0) {
    fprintf(stderr, "stopwatch: %s: %s\n", arguments[0], strerror(error));
    return 1;
  }
  while (wait4(child, &status, 0, &used) != child) {
    if (errno != EINTR) return 1;
  }
  const long long wall = nanoseconds() - begin;
  fprintf(answers, "%lld %lld %ld %ld %ld %d\n", wall,
          microseconds(used.ru_utime) + microseconds(used.ru_stime),
          used.ru_minflt + used.ru_majflt, used.ru_nvcsw + used.ru_nivcsw,
          used.ru_maxrss, status);
  fflush(answers);
  return 0;
}

int main(int count, char **given) {
  if (count < 4) return 2;
  // The order in which the other side opens them.
  FILE *commands = fopen(given[1], "re");
  FILE *answers = fopen(given[2], "we");
  if (commands == NULL || answers == NULL) {
    perror("stopwatch: fifo");
    return 1;
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);

  char name[64];
  int failed = 0;
  while (!failed && fgets(name, sizeof(name), commands) != NULL) {
    name[strcspn(name, "\n")] = 0;
    char **arguments = calloc((size_t)count - 2, sizeof(char *));
    for (int i = 3; i < count; i++) arguments[i - 3] = filled(given[i], name);
    failed = run(arguments, &files, answers);
    for (char **a = arguments; *a != NULL; a++) free(*a);
    free(arguments);
  }
  return failed;
}
