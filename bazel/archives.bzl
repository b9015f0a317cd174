"""Archives of system libraries, for a binary that carries them with it."""

def _archive(ctx, name):
    printed = ctx.execute(["gcc", "-print-file-name=lib%s.a" % name]).stdout
    path = printed.strip()
    return path if path.startswith("/") else ""

# RE2 of Debian 13 and later is made with Abseil too.
def _abseil(ctx):
    modules = ctx.attr.abseil + ["re2"]
    printed = ctx.execute(["pkg-config", "--libs-only-l"] + modules)
    flags = [flag.strip() for flag in printed.stdout.split(" ")]
    return [flag[2:] for flag in flags if flag.startswith("-labsl_")]

def _archives_impl(ctx):
    found = {}
    missing = []
    parts = ctx.attr.parts + _abseil(ctx)
    for name in ctx.attr.libs + parts:
        path = _archive(ctx, name)
        if path:
            found[name] = path
        else:
            missing.append(name)

    # One library twice in a process, as an archive and shared, is two copies
    # of its variables: all of these, or none.
    ctx.file("archives/README", "missing: %s\n" % " ".join(missing))
    if not missing:
        for name, path in found.items():
            ctx.symlink(path, "archives/lib%s.a" % name)
    linked = [] if missing else ["-l" + name for name in parts]
    ctx.file("BUILD.bazel", """
package(default_visibility = ["//visibility:public"])

exports_files(["archives"])

cc_library(
    name = "parts",
    linkopts = {},
)
""".format(["-Wl,--as-needed"] + linked))

# Declares @NAME//:archives, a folder that holds an archive of each library and
# of what pkg-config says of the modules of Abseil: with this folder in the
# linker's path a binary carries them, and starts with half of the page faults
# and relocations. It is empty if one has no archive. @NAME//:parts links what
# archives need that shared libraries have within them.
archives = repository_rule(
    implementation = _archives_impl,
    attrs = {
        "abseil": attr.string_list(),
        "libs": attr.string_list(mandatory = True),
        "parts": attr.string_list(),
    },
    local = True,
)
