"""The small programs that run beside every container."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

def static_binary(name, **kwargs):
    """A cc_binary without shared libraries: it starts with few page faults.

    The sanitizers' run-time libraries cannot be linked that way, so in their
    configurations the program is an ordinary one.

    Args:
      name: name of the program.
      **kwargs: passed to cc_binary.
    """
    cc_binary(
        name = name,
        features = select({
            "//bazel:sanitized": [],
            "//conditions:default": ["fully_static_link"],
        }),
        linkstatic = True,
        **kwargs
    )
