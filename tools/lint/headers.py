"""The classes of headers, read by clang-format's layout (see sizes.py): a body
ends with "};" in the column of its head, its access words stand one column
further in, and its members two."""

import os
import re

HEAD = re.compile(
    r"^( *)(?:template <.*> )?(class|struct) "
    r"(?:\[\[\w+\]\] |[A-Z_]+\(.*\) )?(\w+)(?: final)?(?: :.*)?(?<!;)$"
)
ACCESS = re.compile(r"^ *(public|protected|private):$")
NAME = re.compile(r"([~\w]+|operator\W+)\(")
LOCK = re.compile(r"^(mutable )?(Mutex|CondVar|Thread|KeyedMutex) \w+\b")
# Macros of base/mutex.h and attributes, which may stand behind a function.
ATTRIBUTE = re.compile(r"\[\[\w+\]\] ?|\b[A-Z][A-Z_]+\b(\([^()]*\))?")


class Class:
    """`comment` is the text directly above; `functions` the declarations in the
    public part, each on one line and without comments; `locks`: does it hold a
    mutex or a thread?"""

    def __init__(self, kind, name, line, comment):
        self.kind, self.name = kind, name
        self.line, self.comment = line, comment
        self.functions = []
        self.locks = False

    def verbs(self):
        """The distinct names of what a caller can ask of an object: not
        constructors, destructors, operators, friends, what makes an object of
        this class, what another class has declared (`override`), nor
        accessors, which only show a member: named in lower case as Google's
        style wants, or with a body of one `return member_`."""
        found = []
        for text in self.functions:
            match = NAME.search(ATTRIBUTE.sub("", text))
            name = match.group(1) if match else self.name
            if name.startswith((self.name, "~", "operator")) or name in found:
                continue
            if re.search(r"^friend\b|\boverride\b|\bfinal\b", text):
                continue
            makes = rf"^static .*\b{self.name}\b[^(]* {name}\("
            if name[0].islower() or re.search(makes, text):
                continue
            if re.search(r"\{ return \*?\w+_(\.get\(\))?; \}", text):
                continue
            found.append(name)
        return found


def sources(root):
    """The headers of the tree, but for those of tests."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [
            d
            for d in subfolders
            if not d.startswith((".", "bazel-"))
            and d not in ("testing", "testdata", "third_party")
            and not (folder == root and d == "test")
        ]
        for name in names:
            if name.endswith(".h"):
                yield os.path.relpath(os.path.join(folder, name), root)


def namespace(text):
    """The first one that a header opens, below berth: "image"."""
    match = re.search(r"^namespace berth(?:::([\w:]+))? \{", text, re.M)
    return match.group(1) if match and match.group(1) else ""


def comment_above(lines, index):
    first = index
    while first > 0 and lines[first - 1].lstrip().startswith("//"):
        first -= 1
    return "\n".join(lines[first:index])


def members(lines, indent):
    """(access, declaration) of a class body, given without its last line."""
    access, text = None, ""
    for line in lines + [indent + "  ;"]:
        code = re.sub(r" *//.*$", "", line).rstrip()
        if not code or code.lstrip().startswith("#"):
            continue
        word = ACCESS.match(code)
        begins = re.match(indent + r"  [^ }]", code) or word
        if begins and text:
            yield access, " ".join(text.split())
            text = ""
        if word and code.startswith(indent + " " + word.group(1)):
            access = word.group(1)
        elif not word:
            text += " " + code


def classes(text):
    """Each class defined in a header, nested ones as well."""
    lines = text.split("\n")
    last = -1
    for number, line in enumerate(lines):
        if number <= last:
            continue
        # A head of several lines, as one.
        head, last = line, number
        if re.match(r" *(template <|class |struct )", line):
            while "{" not in head and ";" not in head and last + 1 < len(lines):
                last += 1
                head += " " + lines[last].strip()
        begins, _, rest = head.partition("{")
        match = HEAD.match(begins.rstrip())
        if not match or "{" not in head or rest.strip():
            last = -1
            continue
        indent, kind, name = match.groups()
        default = "public" if kind == "struct" else "private"
        end = last
        while end < len(lines) and not lines[end].startswith(indent + "}"):
            end += 1
        found = Class(kind, name, number + 1, comment_above(lines, number))
        for access, declaration in members(lines[last + 1 : end], indent):
            found.locks = found.locks or LOCK.match(declaration) is not None
            if (access or default) != "public":
                continue
            if "(" in ATTRIBUTE.sub("", declaration) and not re.match(
                r"(using|typedef|enum|class|struct)\b", declaration
            ):
                found.functions.append(declaration)
        yield found
