#!/usr/bin/env python3
"""The checks must find what they are for: each runs on a tree that breaks it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

BUILD = """
cc_library(name = "a", hdrs = ["a.h"], deps = ["//y:b"])
"""


def write(root, tree):
    """Writes a tree: {path: text}."""
    for path, text in tree.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)


def lint(check, root, *arguments):
    """(exit status, what it says) of a check on what is below root."""
    program = [os.path.join(HERE, check), *arguments, root]
    if check.endswith(".py"):
        program = [sys.executable] + program
    done = subprocess.run(program, capture_output=True, text=True)
    return done.returncode, done.stdout


def run(check, tree, *arguments):
    """The same on a tree of its own."""
    with tempfile.TemporaryDirectory() as root:
        write(root, tree)
        return lint(check, root, *arguments)


class Includes(unittest.TestCase):
    tree = {
        "x/BUILD.bazel": BUILD,
        "x/a.h": '#include "y/b.h"\n',
        "y/BUILD.bazel": 'cc_library(name = "b", hdrs = ["b.h"])\n'
        'cc_library(name = "c", hdrs = ["c.h"])\n',
        "y/b.h": "",
        "y/c.h": "",
    }

    def test_accepts_a_declared_dependency(self):
        self.assertEqual(run("includes.py", self.tree)[0], 0)

    def test_finds_an_undeclared_dependency(self):
        tree = dict(self.tree, **{"x/a.h": '#include "y/c.h"\n'})
        code, text = run("includes.py", tree)
        self.assertEqual(code, 1)
        self.assertIn('x/a.h: "y/c.h" is in no dep of //x:a', text)

    def test_finds_an_include_of_no_file(self):
        build = BUILD.replace('"//y:b"', '"//third_party:glog"')
        for include in ("x/absent.h", "y/b.h", "absl/strings/cord.h"):
            tree = dict(self.tree, **{"x/BUILD.bazel": build})
            tree["x/a.h"] = f'#include "{include}"\n'
            code, text = run("includes.py", tree)
            self.assertEqual(code, 1, include)
            self.assertIn(f'x/a.h: "{include}" is in no dep of //x:a', text)

    def test_accepts_a_quoted_header_of_a_declared_library(self):
        tree = dict(
            self.tree,
            **{
                "x/BUILD.bazel": BUILD.replace("y:b", "third_party:glog"),
                "x/a.h": '#include "glog/logging.h"\n',
            },
        )
        self.assertEqual(run("includes.py", tree)[0], 0)

    def test_finds_a_library_outside_its_folder(self):
        tree = dict(self.tree, **{"x/a.h": "#include <sqlite3.h>\n"})
        code, text = run("includes.py", tree)
        self.assertEqual(code, 1)
        self.assertIn("does not belong here", text)

    def test_keeps_the_json_library_in_one_file(self):
        header = "#include <nlohmann/json.hpp>\n"
        build = 'cc_library(name = "j", srcs = ["json_parse.cc", "json.cc"])'
        tree = {
            "base/BUILD.bazel": build,
            "base/json_parse.cc": header,
            "base/json.cc": "",
        }
        self.assertEqual(run("includes.py", tree)[0], 0)
        code, text = run("includes.py", dict(tree, **{"base/json.cc": header}))
        self.assertEqual(code, 1)
        self.assertIn("base/json.cc: <nlohmann/json.hpp>", text)

    def test_finds_a_file_of_no_target(self):
        code, text = run("includes.py", dict(self.tree, **{"x/z.cc": ""}))
        self.assertEqual(code, 1)
        self.assertIn("x/z.cc: in no BUILD.bazel target", text)

    def test_follows_a_glob(self):
        build = 'cc_library(name = "g", srcs = glob(["z*.cc"]))'
        tree = dict(self.tree, **{"z/BUILD.bazel": build, "z/z1.cc": ""})
        self.assertEqual(run("includes.py", tree)[0], 0)
        tree["z/z1.cc"] = '#include "y/c.h"\n'
        self.assertEqual(run("includes.py", tree)[0], 1)
        # What it leaves out belongs to nobody else either.
        tree["z/BUILD.bazel"] = build.replace(
            '])', '], exclude = ["z1.cc"])'
        )
        code, text = run("includes.py", tree)
        self.assertEqual(code, 1)
        self.assertIn("z/z1.cc: in no BUILD.bazel target", text)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("includes.py", {"x/README": ""})[0], 1)


class Banned(unittest.TestCase):
    exceptions = "tools/lint/banned_exceptions.txt"

    def test_accepts_what_is_not_banned(self):
        tree = {
            "x/a.cc": "// std::thread would throw\n#include <mutex>\n",
            "x/a_test.cc": "#include <thread>\n",
            "x/testing/b.cc": "#include <regex>\n",
            "test/c.cc": "#include <thread>\n",
            "base/json_parse.cc": "#include <nlohmann/json.hpp>\n",
            "x/loops.cc": "for (A& a : *b.mutable_a()) {\n"
                          "for (A& a : *found) Do(*a.b());\n"
                          "for (int i = 0; i < n; ++i) *f() = std::g();\n",
        }
        self.assertEqual(run("banned.py", tree)[0], 0)

    def test_finds_in_tests_what_is_wrong_there_too(self):
        for path in ("x/a_test.cc", "x/testing/a.cc", "test/a.cc"):
            code, text = run("banned.py", {path: "for (A& a : *F()) Do(a);\n"})
            self.assertEqual(code, 1, path)
            self.assertIn(f"{path}:1: dangling does not belong here", text)

    def test_finds_each_kind(self):
        for rule, line in [
            ("thread", "#include <thread>"),
            ("thread", "std::thread t;"),
            ("thread", "std::jthread t;"),
            ("thread", "auto f = std::async(g);"),
            ("regex", "#include <regex>"),
            ("regex", "std::regex r(text);"),
            ("nlohmann", "#include <nlohmann/json.hpp>"),
            ("nlohmann", "using Json = nlohmann::json;"),
            ("dangling", "for (const A& a : *Find()) {"),
            ("dangling", "for (const auto& [a, b] : *store->List(1)) Do(a);"),
        ]:
            for path in ("x/a.cc", "base/thread.h", "base/json.h"):
                code, text = run("banned.py", {path: "\n" + line + "\n"})
                self.assertEqual(code, 1, (path, line))
                self.assertIn(f"{path}:2: {rule} does not belong here", text)

    def test_knows_exceptions_until_they_are_not_needed(self):
        tree = {
            "x/a.cc": "#include <thread>\n",
            self.exceptions: "# a comment\nthread x/a.cc\n",
        }
        self.assertEqual(run("banned.py", tree)[0], 0)
        tree["x/a.cc"] = "#include <regex>\n"
        code, text = run("banned.py", tree)
        self.assertEqual(code, 1)
        self.assertIn("x/a.cc:1: regex does not belong here", text)
        self.assertIn("thread x/a.cc is not needed", text)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("banned.py", {"x/README": ""})[0], 1)


class Sizes(unittest.TestCase):
    def function(self, lines):
        return "int f(int a,\n      int b) {\n" + "  a++;\n" * lines + "}\n"

    def test_accepts_the_limits(self):
        self.assertEqual(run("sizes.py", {"x/a.cc": self.function(67)})[0], 0)

    def test_finds_a_long_function(self):
        code, text = run("sizes.py", {"x/a.cc": self.function(68)})
        self.assertEqual(code, 1)
        self.assertIn("x/a.cc:1: a function of 71 lines", text)

    def test_finds_a_long_function_within_a_class(self):
        body = "class C {\n  int f() {\n" + "    a++;\n" * 69 + "  }\n};\n"
        code, text = run("sizes.py", {"x/a.h": body})
        self.assertEqual(code, 1)
        self.assertIn("x/a.h:2: a function of 71 lines", text)

    def test_finds_a_long_file_of_each_kind(self):
        for name, limit in [
            ("a.h", 300),
            ("a.cc", 600),
            ("a.py", 600),
            ("a.go", 600),
            ("a.sh", 600),
            ("BUILD.bazel", 200),
        ]:
            # A text of N lines ends with a newline.
            tree = {"x/" + name: "#\n" * (limit - 1)}
            self.assertEqual(run("sizes.py", tree)[0], 0, name)
            code, text = run("sizes.py", {"x/" + name: "#\n" * limit})
            self.assertEqual(code, 1, name)
            self.assertIn(f"x/{name}: {limit + 1} lines, limit {limit}", text)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("sizes.py", {"x/README": ""})[0], 1)


class Interfaces(unittest.TestCase):
    exceptions = "tools/lint/interface_exceptions.txt"

    def header(self, public, comment="// Thread-safe.", kind="class", rest=""):
        lines = [f"  {one}" for one in public]
        return "\n".join(
            ["namespace berth::x {", "", comment, kind + " C : public B {"]
            + [" public:"] * (kind == "class")
            + lines
            + [" private:", rest, "};", "", "}  // namespace berth::x", ""]
        )

    def verbs(self, count):
        return [f"void Verb{n}(int a);" for n in range(count)]

    def check(self, text):
        return run("interfaces.py", {"x/a.h": text})

    def test_accepts_the_limit_beside_what_is_no_verb(self):
        text = self.header(
            self.verbs(12)
            + [
                "C();",
                "explicit C(int a);",
                "virtual ~C() = default;",
                "C& operator=(const C&) = delete;",
                "bool operator()(int a) const;",
                "static StatusOr<std::unique_ptr<C>> Open(int a);",
                "int size() const;",
                "int Size() const { return size_; }",
                "Status Run(const Context& ctx) override;",
                "void Verb1(const std::string& an, overload o);",
                "using Body = std::function<void(int)>;",
                "struct Options {",
                "  void Verb20();",
                "};",
                "friend void Swap(C& a, C& b);",
                "int size_ GUARDED_BY(mutex_) = 0;",
            ],
            rest="  void Hidden();",
        )
        self.assertEqual(self.check(text), (0, self.said(0)))

    def said(self, exceptions, problems=0):
        return (
            f"interfaces: 1 headers, {exceptions} exceptions, "
            f"{problems} problems\n"
        )

    def test_finds_the_thirteenth_verb(self):
        for verb in (
            "Status Thirteenth(",
            "[[nodiscard]] StatusOr<std::map<int, int>> Thirteenth(",
            "static void Thirteenth(",
            "void Thirteenth() const { return all_.Go(1); }  //",
            "void Thirteenth() REQUIRES(mutex_);",
        ):
            if verb.endswith("("):
                verb += "int a,\n      int b);"
            for kind in ("class", "struct"):
                text = self.header(self.verbs(12) + [verb], kind=kind)
                code, text = self.check(text)
                self.assertEqual(code, 1, verb)
                self.assertIn("x/a.h:4: x::C has 13 verbs, limit 12", text)

    def test_prints_exceptions_which_only_shrink(self):
        tree = {
            "x/a.h": self.header(self.verbs(14)),
            self.exceptions: "# a comment\nx::C 14 to be cut\n",
        }
        code, text = run("interfaces.py", tree)
        self.assertEqual(code, 0)
        self.assertIn("x/a.h:4: x::C has 14 verbs: to be cut", text)
        for verbs, said in [
            (15, "x::C has 15 verbs, limit 14"),
            (13, "x::C has 13 verbs only"),
            (12, "x::C is not needed"),
        ]:
            tree["x/a.h"] = self.header(self.verbs(verbs))
            code, text = run("interfaces.py", tree)
            self.assertEqual(code, 1, verbs)
            self.assertIn(said, text)
        # Another class of the same name has no share in it.
        tree["x/a.h"] = self.header(self.verbs(14)).replace("::x {", "::y {")
        self.assertIn("y::C has 14", run("interfaces.py", tree)[1])

    def test_finds_a_class_without_its_thread_word(self):
        said = "x/a.h:4: x::C does not say its thread word"
        code, text = self.check(self.header(self.verbs(1), "// A thing."))
        self.assertEqual(code, 1)
        self.assertIn(said, text)
        # That of another class, or inside of this one, is not its own.
        text = "// Thread-safe.\n" + self.header(
            ["// Thread-safe."] + self.verbs(1), "// A thing."
        )
        self.assertIn(said.replace(":4", ":5"), self.check(text)[1])
        for word in ("thread-safe", "Thread-compatible", "Single-threaded"):
            text = self.header(self.verbs(1), f"// A thing. {word}.\n// More.")
            self.assertEqual(self.check(text)[0], 0, word)

    def test_data_needs_no_thread_word_unless_it_holds_a_lock(self):
        for kind, public in [("struct", ["int a = 0;"]), ("class", [])]:
            text = self.header(public, "// Data.", kind)
            self.assertEqual(self.check(text)[0], 0, kind)
            for member in ("Mutex mutex_;", "mutable Mutex m;", "Thread t;"):
                text = self.header(public, "// Data.", kind, "  " + member)
                self.assertEqual(self.check(text)[0], 1, (kind, member))

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("interfaces.py", {"x/README": ""})[0], 1)
        tree = {"test/a.h": "", "x/testing/a.h": ""}
        self.assertEqual(run("interfaces.py", tree)[0], 1)


class Fields(unittest.TestCase):
    """On an interface of two calls, of which one is served."""

    interface = """\
#kind	owner	name	number	type	type_name	label	oneof	options	since
#meta	package=v1	kubernetes=1.0
rpc	S	Ask	0	AskRequest	AskResponse	-	-	-	1.0
rpc	S	Drop	1	DropRequest	DropResponse	-	-	-	1.0
message	AskRequest	-	-	-	-	-	-	2	1.0
message	DropRequest	-	-	-	-	-	-	1	1.0
message	Part	-	-	-	-	-	-	2	1.0
field	AskRequest	part	1	message	Part	-	-	-	1.0
field	AskRequest	old	2	message	Old	-	-	-	1.0
field	AskResponse	answer	1	string	string	-	-	-	1.0
field	DropRequest	id	1	string	string	-	-	-	1.0
field	Old	word	1	string	string	-	-	-	1.0
field	Part	Name	1	string	string	-	-	-	1.0
field	Part	more	2	string	string	-	-	-	1.0
message	Old	-	-	-	-	-	-	1	1.0
"""
    lines = """\
# A comment.
AskRequest	part	used	cri/a.cc:Take	A.Takes	-
AskRequest	old	refused	cri/a.cc:Take	TestOld	-
DropRequest	id	refused	call:Drop	Drops.test_drop	-
Old	word	refused	in:AskRequest.old	-	-
Part	Name	used	cri/a.cc:Take x/b.cc:Act	TestName A.Takes	-
Part	more	unused	-	-	nobody wants it
"""
    source = """\
Status Take(const Request& request) {
  if (request.has_old()) return Unimplemented("old");
  return Act(request.part().name());
}
void Other() {
  request->more();
}
"""
    sources = {
        "api/cri/v1/testdata/cri-v1.tsv": interface,
        "api/cri/v1/testdata/fields.tsv": lines,
        "cri/a.cc": source,
        "cri/a_test.cc": "TEST_F(A, Takes) {\n}\n",
        "cri/runtime_endpoint.cc": '  ABSENT(Drop, "not here")\n',
        "x/b.cc": "Status Thing::Act(int a) {\n}\n",
        "test/a_test.go": "func TestOld(t *testing.T) {\n}\n"
        "func TestName(t *testing.T) {\n}\n",
        "test/drop_suite.py": "class Drops:\n    def test_drop(self):\n",
    }

    def check(self, old="", new="", path="api/cri/v1/testdata/fields.tsv"):
        """What it says of the tree in which one text is another."""
        self.assertIn(old, self.sources[path])
        tree = dict(self.sources)
        tree[path] = tree[path].replace(old, new, 1)
        generator = os.path.join(HERE, "../cri_fields.py")
        with tempfile.TemporaryDirectory() as root:
            write(root, dict(tree, **{"docs/CRI-FIELDS.md": ""}))
            subprocess.run([sys.executable, generator, root], check=True)
            return lint("fields.py", root)

    def test_accepts_what_is_so(self):
        said = "fields: 6 fields of requests, 0 problems\n"
        self.assertEqual(self.check(), (0, said))

    def test_finds_each_kind(self):
        for old, new, said in [
            ("Part	more", "#", "fields.tsv: Part.more has no line"),
            ("# A c", "Part	more	unused	-	-	x\n#", "more: a second line"),
            ("# A c", "AskResponse	answer	unused	-	-	x\n#",
             "AskResponse.answer: no field of a request"),
            ("part	used", "part	useful", "'useful' is none of used, kept"),
            ("nobody wants it", "-", "a note that says why"),
            ("A.Takes	-", "-	-", "AskRequest.part: no test"),
            ("cri/a.cc:Take", "-", "AskRequest.part: no place"),
            ("cri/a.cc", "cri/b.cc", "part: there is no cri/b.cc"),
            ("b.cc:Act", "b.cc:Play", "x/b.cc has no function Play"),
            ("more	unused	-	-", "more	used	cri/a.cc:Take	TestOld",
             "Take of cri/a.cc does not read more"),
            ("TestOld", "TestOlder", "there is no test TestOlder"),
            ("A.Takes", "B.Takes", "there is no test B.Takes"),
            ("Drops.t", "Falls.t", "there is no test Falls.test_drop"),
            ("in:AskRequest.old", "in:AskRequest.part",
             "word: AskRequest.part is not refused"),
            ("call:Drop", "call:Ask", "DropRequest is not the request of Ask"),
            ("	-\nAskRequest	old", "\nAskRequest	old",
             "fields.tsv:2: not six cells"),
        ]:
            with self.subTest(said):
                if "six cells" in said:
                    text = self.lines.replace(old, new, 1)
                    tree = {"api/cri/v1/testdata/fields.tsv": text}
                    found = run("fields.py", dict(self.sources, **tree))
                else:
                    found = self.check(old, new)
                self.assertEqual(found[0], 1)
                self.assertIn(said, found[1])

    def test_sees_that_the_code_has_changed(self):
        for path, old, new, said in [
            ("cri/a.cc", ".name()", ".names()", "does not read Name"),
            ("cri/runtime_endpoint.cc", "ABSENT(Drop", "METHOD(Drop",
             "cri/runtime_endpoint.cc serves Drop"),
            ("test/a_test.go", "func TestName", "func testName",
             "there is no test TestName"),
            ("api/cri/v1/testdata/cri-v1.tsv", "field	Part	more",
             "field	Part	new	9	string	string	-	-	-	1.1\nfield	Part	more",
             "fields.tsv: Part.new has no line"),
        ]:
            with self.subTest(said):
                code, text = self.check(old, new, path)
                self.assertEqual(code, 1)
                self.assertIn(said, text)

    def test_finds_an_old_document(self):
        for text in ("", "# Fields of CRI requests\n"):
            tree = dict(self.sources, **{"docs/CRI-FIELDS.md": text})
            code, said = run("fields.py", tree)
            self.assertEqual(code, 1)
            self.assertIn("docs/CRI-FIELDS.md: not what", said)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("fields.py", {"x/README": ""})[0], 1)


@unittest.skipUnless(shutil.which("clang-format-14"), "no clang-format-14")
class Format(unittest.TestCase):
    def test_accepts_formatted_code(self):
        self.assertEqual(run("format.sh", {"x/a.cc": "int a = 1;\n"})[0], 0)

    def test_finds_unformatted_code(self):
        for path in ("x/a.cc", "x y/b.h", "c.cc"):
            tree = {path: "int  a=1;\n", "x/good.cc": "int a = 1;\n"}
            code, text = run("format.sh", tree)
            self.assertEqual(code, 1, path)
            self.assertIn(path + ": not formatted", text)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("format.sh", {"x/README": ""})[0], 1)


class Clang(unittest.TestCase):
    """On the real base/mutex.h and .clang-tidy."""

    header = """
#include "base/mutex.h"
namespace berth {
class C {
 public:
  int Get();
  std::string Moved(std::string text);

 private:
  void Locked() REQUIRES(mutex_);
  Mutex mutex_;
  int held_ GUARDED_BY(mutex_) = 0;
};
}
"""
    lock = "MutexLock lock(mutex_);"
    source = """
#include "oci/a.h"

#include <string>
int berth::C::Get() { BODY return held_; }
std::string berth::C::Moved(std::string text) {
  std::string last = std::move(text);
  return RESULT;
}
"""

    def setUp(self):
        if not shutil.which("clang++-19") or not shutil.which("clang-tidy-19"):
            self.skipTest("no clang-19")
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        os.environ["BERTH_LINT_CACHE"] = cache.name
        self.addCleanup(os.environ.pop, "BERTH_LINT_CACHE")

    def tree(self, body=lock, result="last"):
        source = self.source.replace("BODY", body).replace("RESULT", result)
        tree = {"oci/a.h": self.header, "oci/a.cc": source}
        for path in ("base/mutex.h", ".clang-tidy"):
            with open(os.path.join(HERE, "../..", path)) as f:
                tree[path] = f.read()
        return tree

    def test_remembers_what_is_right_until_it_changes(self):
        right = "1 found right, 0 left"
        self.assertIn(right, run("clang.py", self.tree(), "threads")[1])
        code, text = run("clang.py", self.tree(), "threads")
        self.assertEqual(code, 0)
        self.assertIn("1 known, 0 found right", text)
        tree = self.tree()
        tree["oci/a.h"] = "// A word.\n" + tree["oci/a.h"]
        self.assertIn("1 known", run("clang.py", tree, "threads")[1])
        tree["oci/a.h"] += "class D;\n"
        self.assertIn(right, run("clang.py", tree, "threads")[1])

    def test_a_header_may_be_written_anew(self):
        """As by each fresh clone; a tree stays at its path."""
        with tempfile.TemporaryDirectory() as root:
            for body in ("", self.lock):
                write(root, self.tree(body))
                later = time.time() + len(body)
                os.utime(os.path.join(root, "base/mutex.h"), (later, later))
                code, text = lint("clang.py", root, "threads")
                self.assertNotIn("precompiled", text)
            self.assertEqual(code, 0, text)

    def test_finds_a_member_without_its_lock(self):
        for body, said in [
            ("", "reading variable 'held_' requires holding"),
            ("Locked();", "calling function 'Locked' requires holding"),
            (self.lock + "MutexLock again(mutex_);", "already held"),
            ("mutex_.Lock();", "still held at the end of function"),
        ]:
            for _ in range(2):  # a fault is not remembered as right
                code, text = run("clang.py", self.tree(body), "threads")
                self.assertEqual(code, 1, body)
                self.assertIn("oci/a.cc", text)
                self.assertIn(said, text)

    def test_finds_what_clang_tidy_finds(self):
        self.assertEqual(run("clang.py", self.tree(), "tidy")[0], 0)
        code, text = run("clang.py", self.tree(result="text"), "tidy")
        self.assertEqual(code, 1)
        self.assertIn("'text' used after it was moved", text)
        tree = self.tree()
        tree["oci/a.h"] += "inline int Run() { return system(\"ls\"); }\n"
        tree["oci/a.h"] = "#include <cstdlib>\n" + tree["oci/a.h"]
        code, text = run("clang.py", tree, "tidy")
        self.assertEqual(code, 1)
        self.assertIn("cert-env33-c", text)

    def test_says_what_it_has_not_come_to(self):
        code, text = run("clang.py", self.tree(""), "threads", "--seconds=1e-9")
        self.assertEqual(code, 0)
        self.assertIn("0 found right, 1 left for a full run", text)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(run("clang.py", {"x/README": ""}, "threads")[0], 1)


if __name__ == "__main__":
    unittest.main()
