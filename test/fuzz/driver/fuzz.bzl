"""Targets for libFuzzer, which are ordinary tests as well."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def fuzz_target(name, srcs, deps, tags = []):
    """One parser of foreign bytes (fuzz_target.h).

    Args:
      name: the program for libFuzzer, which only --config=fuzz can link (see
        run.sh). NAME_test replays corpus/NAME under any compiler.
      srcs: the file with the target.
      deps: what it includes, besides fuzz_target.h.
      tags: of the test.
    """
    cc_library(
        name = name + "_target",
        testonly = True,
        srcs = srcs,
        deps = deps + ["//test/fuzz/driver:fuzz_target"],
        alwayslink = True,
    )
    cc_test(
        name = name + "_test",
        size = "small",
        data = native.glob(["corpus/%s/**" % name]),
        env = {"FUZZ_CORPUS": "%s/corpus/%s" % (native.package_name(), name)},
        tags = tags,
        deps = [
            ":" + name + "_target",
            "//test/fuzz/driver:replay",
        ],
    )
    cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [
            ":" + name + "_target",
            "//test/fuzz/driver:fuzzer_main",
        ],
    )
