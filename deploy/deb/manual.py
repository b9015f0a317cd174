#!/usr/bin/env python3
"""Manual pages, shell completion and a default configuration, made of what the
programs say of themselves, so that none of it can differ from them.

usage: manual.py BERTHD BERTH-OCI ROOT
  ROOT  the folder that becomes / on the machine where they are installed
"""

import os
import re
import subprocess
import sys


def said(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          timeout=60).stdout.decode()


# ---- what they say ----------------------------------------------------------

class Berthd:
    """`berthd --help`: a line, then sections of terms and what they mean."""

    def __init__(self, program):
        text = said(program, "--help")
        self.about = text.splitlines()[0].split(" - ", 1)[1]
        self.version = said(program, "--version").split()[1]
        self.usage = self.terms(text, "usage:")
        self.flags = self.terms(text, "flags:")
        self.files = self.terms(text, "files and signals:")
        # ("image", "import") and so on, in order.
        self.commands = []
        for line, _ in self.usage:
            words = line.split()[1:3]
            if words and re.match("[a-z]", words[0]):
                self.commands.append(tuple(words))
        if not (self.usage and self.flags and self.files and self.commands):
            raise SystemExit("manual.py: the help of berthd reads otherwise")

    @staticmethod
    def terms(text, title):
        """[term, meaning] of a section: two blanks before a term; meaning after
        two more, or deeper on the next lines."""
        section = text.split("\n" + title + "\n", 1)[1]
        found = []
        for line in section.splitlines():
            if line and not line.startswith("  "):
                break
            if not line.strip():
                continue
            if re.match(r"  \S", line):
                term, _, meaning = line.strip().partition("  ")
                found.append([term, meaning.strip()])
            else:
                found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
        return found


class Oci:
    """`berth-oci --help`, and the help of each verb."""

    def __init__(self, program):
        text = said(program, "--help")
        self.about = text.splitlines()[1].split(" - ", 1)[1]
        self.flags = self.table(text, "GLOBAL OPTIONS:")
        self.verbs = []
        for name, about in self.table(text, "COMMANDS:"):
            if name == "help":
                continue
            more = said(program, "help", name)
            usage = re.search(r"USAGE:\n\s+(.*)", more).group(1)
            self.verbs.append((name, about, usage,
                               self.table(more, "OPTIONS:")))
        if not (self.flags and self.verbs):
            raise SystemExit("manual.py: the help of berth-oci reads otherwise")

    @staticmethod
    def table(text, title):
        if "\n" + title + "\n" not in text:
            return []
        section = text.split("\n" + title + "\n", 1)[1].split("\n\n")[0]
        rows = []
        for line in section.splitlines():
            match = re.match(r"   (\S+(?: \S+)*?)(?:  +(.*))?$", line)
            if match:
                rows.append((match.group(1), match.group(2) or ""))
        return rows


# ---- manual pages -----------------------------------------------------------

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in ".'" else line
                     for line in text.split("\n"))


class Page:
    def __init__(self, name, section, about, version):
        self.lines = ['.TH %s %d "" "berth %s"' % (name.upper(), section,
                                                   version)]
        self.title("NAME")
        self.text(name + " - " + about)

    def title(self, text):
        self.lines.append(".SH " + text)

    def text(self, text):
        self.lines.append(roff(text))

    def literal(self, text):
        self.lines += [".nf", roff(text), ".fi"]

    def term(self, term, meaning):
        self.lines += [".TP", ".B " + roff(term), roff(meaning) or "\\&"]

    def see(self, *pages):
        self.title("SEE ALSO")
        self.lines.append(", ".join("\\fB%s\\fR(%d)" % p for p in pages))

    def write(self, path):
        write(path, "\n".join(self.lines) + "\n")


def berthd_page(berthd):
    page = Page("berthd", 8, berthd.about, berthd.version)
    page.title("SYNOPSIS")
    page.literal("\n".join(line for line, _ in berthd.usage))
    page.title("DESCRIPTION")
    page.text("berthd serves kubelet and crictl through the Container Runtime "
              "Interface, and the docker command line through the Docker "
              "Engine API. Pods and containers go on while it is stopped, "
              "restarted or upgraded.")
    page.title("COMMANDS")
    for term, meaning in berthd.usage:
        if meaning:
            page.term(term, meaning)
    page.title("OPTIONS")
    for term, meaning in berthd.flags:
        page.term(term, meaning)
    page.title("FILES, SIGNALS AND ENVIRONMENT")
    for term, meaning in berthd.files:
        page.term(term, meaning)
    page.see(("berth.conf", 5), ("berth-oci", 8), ("systemd.service", 5))
    return page


def oci_page(oci, version):
    page = Page("berth-oci", 8, oci.about, version)
    page.title("SYNOPSIS")
    page.literal("berth-oci [global options] command [command options] "
                 "[arguments...]")
    page.title("DESCRIPTION")
    page.text("berth-oci makes containers from bundles of the OCI runtime "
              "specification, with the command line of runc.")
    page.title("GLOBAL OPTIONS")
    for term, meaning in oci.flags:
        page.term(term, meaning)
    page.title("COMMANDS")
    for name, about, usage, flags in oci.verbs:
        page.lines.append(".SS " + name)
        page.text(about[:1].upper() + about[1:] + ".")
        page.literal(usage)
        for term, meaning in flags:
            page.term(term, meaning)
    page.see(("berthd", 8),)
    return page


def config_page(text, version):
    page = Page("berth.conf", 5, "configuration of berthd", version)
    page.title("DESCRIPTION")
    # The file's own comment stands before the first empty line.
    head, _, rest = text.partition("\n\n")
    page.literal("\n".join(line.lstrip("#").removeprefix(" ")
                           for line in head.splitlines()))
    page.title("SETTINGS")
    page.text("With their defaults, in the form of the file.")
    page.literal(rest)
    page.title("FILES")
    page.term("/etc/berth/berth.conf", "Read unless --config names another.")
    page.term("/etc/berth/berth.conf.d/*.conf",
              "Merged over it in the order of their names.")
    page.see(("berthd", 8),)
    return page


# ---- a file to start from ---------------------------------------------------

def config_file(text):
    """Every setting as a comment: the defaults of a newer version are in force
    without a change of this file."""
    head, _, rest = text.partition("\n\n")
    lines = [head, "#",
             "# What is not set has the value that is shown. To set something, "
             "take away the",
             "# mark (#) without a blank behind it, of the group around it, "
             "too.", ""]
    for line in rest.splitlines():
        body = line.lstrip()
        # Comments as they are; a setting without a blank behind the mark.
        mark = "#" if body and not body.startswith("#") else ""
        lines.append(line[:len(line) - len(body)] + mark + body)
    return "\n".join(lines) + "\n"


# ---- completion -------------------------------------------------------------

def flag_words(rows):
    """--name and -n of a table's first column, and whether a value follows."""
    for term, meaning in rows:
        value = bool(re.search(r" (value|[A-Z]+)\b", term))
        names = re.findall(r"(?<!\S)(--?[a-z][a-z0-9-]*)", term)
        if term.startswith("--") or term.startswith("-"):
            yield names, value, meaning


def single(text):
    return "'" + text.replace("'", "'\\''") + "'"


def bash_berthd(berthd):
    groups = {}
    for first, second in berthd.commands:
        groups.setdefault(first, []).append(second)
    flags = [n for names, _, _ in flag_words(berthd.flags) for n in names]
    behind = " | ".join('*" %s %s "*' % one for one in berthd.commands)
    cases = "\n".join("    %s) words=%s ;;" % (first, single(" ".join(rest)))
                      for first, rest in groups.items())
    return """# Completion of berthd for bash.
_berthd() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words
  case $prev in
%s
    --config) words= ;;
    --root | --state) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    *) words=%s ;;
  esac
  # Behind a command come its files.
  case " ${COMP_WORDS[*]:1:COMP_CWORD-1} " in
    %s) words= ;;
  esac
  [[ $cur != -* ]] || words=%s
  if [[ -z $words ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}
complete -o filenames -F _berthd berthd
""" % (cases, single(" ".join(list(groups) + flags + ["--help", "--version"])),
       behind, single(" ".join(flags + ["--help", "--version"])))


def bash_oci(oci):
    verbs = [verb[0] for verb in oci.verbs] + ["help"]
    own = [n for names, _, _ in flag_words(oci.flags) for n in names]
    cases = []
    for name, _, _, flags in oci.verbs:
        words = [n for names, _, _ in flag_words(flags) for n in names]
        cases.append("    %s) words=%s ;;" % (name, single(" ".join(words))))
    return """# Completion of berth-oci for bash.
_berth_oci() {
  local cur=${COMP_WORDS[COMP_CWORD]} verb= word words
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      %s) verb=$word; break ;;
    esac
  done
  case $verb in
%s
    *) words=%s ;;
  esac
  if [[ -n $verb && $cur != -* ]]; then
    # Ids of the containers below the usual root.
    words=$(berth-oci list -q 2>/dev/null)
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _berth_oci berth-oci
""" % (" | ".join(verbs), "\n".join(cases), single(" ".join(verbs + own)))


def zsh_word(text):
    return re.sub(r"([\[\]:\\'])", r"\\\1", text).replace("\\'", "'\\''")


def zsh_flags(rows):
    for names, value, meaning in flag_words(rows):
        for name in names:
            yield "'%s[%s]%s'" % (name, zsh_word(meaning),
                                  ":value:_files" if value else "")


def zsh_berthd(berthd):
    groups = {}
    for first, second in berthd.commands:
        groups.setdefault(first, []).append(second)
    cases = "\n".join("    %s) _values command %s ;;" % (f, " ".join(rest))
                      for f, rest in groups.items())
    return """#compdef berthd
_arguments -C \\
  %s \\
  '1:group:(%s)' '2:command:->command' '*:file:_files'
if [[ $state == command ]]; then
  case $line[1] in
%s
  esac
fi
""" % (" \\\n  ".join(zsh_flags(berthd.flags)), " ".join(groups), cases)


def zsh_oci(oci):
    verbs = " ".join("'%s:%s'" % (v[0], zsh_word(v[1])) for v in oci.verbs)
    cases = "\n".join(
        "    %s) _arguments %s '*:container:_files' ;;" % (
            v[0], " ".join(zsh_flags(v[3]))) for v in oci.verbs)
    return """#compdef berth-oci
local -a verbs=(%s)
_arguments -C \\
  %s \\
  '1:command:->verb' '*::argument:->rest'
case $state in
  verb) _describe command verbs ;;
  rest)
  case $line[1] in
%s
  esac ;;
esac
""" % (verbs, " \\\n  ".join(zsh_flags(oci.flags)), cases)


def fish_flags(program, rows, condition=""):
    for names, value, meaning in flag_words(rows):
        line = "complete -c " + program
        if condition:
            line += " -n " + single(condition)
        for name in names:
            line += (" -l " + name[2:] if name.startswith("--")
                     else " -s " + name[1:])
        yield line + (" -r" if value else "") + " -d " + single(meaning)


def fish_berthd(berthd):
    lines = ["# Completion of berthd for fish."]
    groups = {}
    for first, second in berthd.commands:
        groups.setdefault(first, []).append(second)
    lines += list(fish_flags("berthd", berthd.flags))
    lines.append("complete -c berthd -n __fish_use_subcommand -a "
                 + single(" ".join(groups)))
    for first, rest in groups.items():
        lines.append("complete -c berthd -n %s -a %s" % (
            single("__fish_seen_subcommand_from " + first),
            single(" ".join(rest))))
    return "\n".join(lines) + "\n"


def fish_oci(oci):
    lines = ["# Completion of berth-oci for fish."]
    lines += list(fish_flags("berth-oci", oci.flags, "__fish_use_subcommand"))
    for name, about, _, flags in oci.verbs:
        lines.append("complete -c berth-oci -n __fish_use_subcommand -a %s "
                     "-d %s" % (name, single(about)))
        lines += list(fish_flags("berth-oci", flags,
                                 "__fish_seen_subcommand_from " + name))
    return "\n".join(lines) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main(berthd_program, oci_program, root):
    berthd, oci = Berthd(berthd_program), Oci(oci_program)
    default = said(berthd_program, "config", "default")
    share = root + "/usr/share/"
    berthd_page(berthd).write(share + "man/man8/berthd.8")
    oci_page(oci, berthd.version).write(share + "man/man8/berth-oci.8")
    config_page(default, berthd.version).write(share + "man/man5/berth.conf.5")
    write(root + "/etc/berth/berth.conf", config_file(default))
    bash = share + "bash-completion/completions/"
    write(bash + "berthd", bash_berthd(berthd))
    write(bash + "berth-oci", bash_oci(oci))
    write(share + "zsh/vendor-completions/_berthd", zsh_berthd(berthd))
    write(share + "zsh/vendor-completions/_berth-oci", zsh_oci(oci))
    fish = share + "fish/vendor_completions.d/"
    write(fish + "berthd.fish", fish_berthd(berthd))
    write(fish + "berth-oci.fish", fish_oci(oci))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
