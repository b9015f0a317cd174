// Where a sanitized program writes its reports: their place must not depend on
// the environment, as a shim starts with one of its own, and must be found by
// test/sanitize.sh.
#define BERTH_REPORTS "log_path=/tmp/berth-sanitizer/report"

#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options() {
  return BERTH_REPORTS ":detect_stack_use_after_return=1";
}
extern "C" const char* __ubsan_default_options() {
  return BERTH_REPORTS ":print_stacktrace=1";
}
#endif

#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_options() {
  return BERTH_REPORTS ":second_deadlock_stack=1";
}
// What ThreadSanitizer does not see: glibc's own lock, as glog asks for the
// zone; and how Debian's absl counts who has a Status, before it is deleted.
extern "C" const char* __tsan_default_suppressions() {
  return "race:^tzset_internal$\n"
         "race:^absl::debian3::Status::Unref\n";
}
#endif
