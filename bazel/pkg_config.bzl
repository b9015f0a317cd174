"""A system library whose parts differ from one Debian to the next."""

def _pkg_config_impl(ctx):
    result = ctx.execute(["pkg-config", "--libs"] + ctx.attr.modules)
    if result.return_code != 0:
        fail("pkg-config %s: %s" % (" ".join(ctx.attr.modules), result.stderr))
    flags = [flag for flag in result.stdout.split(" ") if flag.strip()]
    ctx.file("BUILD.bazel", """
cc_library(
    name = "libs",
    linkopts = {},
    visibility = ["//visibility:public"],
)
""".format(["-Wl,--as-needed"] + [flag.strip() for flag in flags]))

# Declares @NAME//:libs, which links what pkg-config says of the modules.
pkg_config = repository_rule(
    implementation = _pkg_config_impl,
    attrs = {"modules": attr.string_list(mandatory = True)},
    local = True,
)
