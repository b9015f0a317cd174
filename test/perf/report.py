"""Samples to medians, medians to tables and a plot."""
import html
import statistics

COLUMNS = ("wall_ms", "cpu_ms", "faults", "switches", "rss_kib")
OURS = "#1f6f54"
THEIRS = "#9aa5b1"


def median_of(samples, column):
    return statistics.median(sample[column] for sample in samples)


def median(values):
    return statistics.median(values)


def tenth(values):
    return statistics.quantiles(values, n=10)[0] if len(values) > 1 else 0


def ninth(values):
    return statistics.quantiles(values, n=10)[-1] if len(values) > 1 else 0


def summary(measured):
    """{gap: {(name, profile): samples}} as a list of plain rows."""
    rows = []
    for gap, series in measured.items():
        for (name, profile), samples in series.items():
            wall = [sample["wall_ms"] for sample in samples]
            row = {"name": name, "profile": profile, "gap": gap,
                   "p10": tenth(wall), "p90": ninth(wall)}
            row.update({c: median_of(samples, c) for c in COLUMNS})
            rows.append(row)
    return rows


def strongest(rows, ours):
    """The best median of those that are not ours."""
    others = [row["wall_ms"] for row in rows
              if not row["name"].startswith(ours)
              and "no container" not in row["name"]]
    return min(others) if others else None


def before_table(results):
    """What each figure is of the one of "berth before"."""
    lines = []
    timed = ([dict(row, part="oci", metric="run, " + row["profile"])
              for row in results.get("oci", [])]
             + [dict(row, part="pods, " + row["net"])
                for row in results.get("pods", [])]
             + [dict(row, part="docker")
                for row in results.get("docker", {}).get("times", [])]
             + [dict(row, part="pull", metric="pull", gap=0)
                for row in results.get("pull", {}).get("rows", [])])
    for row in timed:
        if not row["name"].endswith(" before"):
            continue
        now = next(r for r in timed
                   if r["name"] + " before" == row["name"]
                   and all(r[k] == row[k] for k in ("part", "metric", "gap")))
        cpu = next((c for c in ("engine_cpu_ms", "cpu_ms") if c in row), None)
        lines.append(
            f"| {row['part']} | {row['metric']} | {row['gap']} |"
            f" {row['wall_ms']:.2f} | {now['wall_ms']:.2f} |"
            f" {now['wall_ms'] / row['wall_ms']:.2f} |"
            + (f" {now[cpu] / row[cpu]:.2f} |" if cpu and row[cpu] else " |"))
    if not lines:
        return []
    return ["", "### berth against itself before", "",
            "| | | rest ms | before ms | now ms | × | CPU × |",
            "|---|---|--:|--:|--:|--:|--:|"] + lines


def oci_table(rows):
    gaps = sorted({row["gap"] for row in rows})
    lines = []
    for profile in ("plain", "seccomp"):
        title = ("without a seccomp profile" if profile == "plain"
                 else "with a seccomp profile of Docker's size")
        lines += ["", f"### `run` of /bin/true, {title}", ""]
        head = "| runtime |"
        rule = "|---|"
        for gap in gaps:
            where = "back to back" if gap == 0 else f"{gap} ms of rest"
            head += f" {where}: ms (p10–p90) | × strongest |"
            rule += "--:|--:|"
        lines += [head + " CPU ms | page faults | peak RSS MiB |",
                  rule + "--:|--:|--:|"]
        mine = [row for row in rows if row["profile"] == profile]
        names = sorted({row["name"] for row in mine},
                       key=lambda n: min(r["wall_ms"] for r in mine
                                         if r["name"] == n))
        for name in names:
            line = f"| {name} |"
            last = None
            for gap in gaps:
                at = [row for row in mine if row["gap"] == gap]
                best = strongest(at, "berth")
                last = next(row for row in at if row["name"] == name)
                ratio = (f"{last['wall_ms'] / best:.2f}"
                         if best and "no container" not in name else "")
                line += (f" **{last['wall_ms']:.2f}** ({last['p10']:.2f}–"
                         f"{last['p90']:.2f}) | {ratio} |")
            lines.append(line + f" {last['cpu_ms']:.1f} | {last['faults']:.0f}"
                         f" | {last['rss_kib'] / 1024:.1f} |")
    return lines


def pods_table(rows):
    """Rows: name, net, gap, metric, wall_ms, p10, p90."""
    gaps = sorted({row["gap"] for row in rows})
    lines = []
    for net in ("host", "bridge"):
        here = [row for row in rows if row["net"] == net]
        if not here:
            continue
        lines += ["", f"### Pods, {net} network" if net == "host"
                  else "### Pods, bridge network", ""]
        names = list(dict.fromkeys(row["name"] for row in here))
        for gap in gaps:
            lines += ["", "Back to back, medians in ms:" if gap == 0
                      else f"With {gap} ms of rest, medians in ms:", "",
                      "| | " + " | ".join(names) + " | berth × strongest |",
                      "|---|" + "--:|" * (len(names) + 1)]
            at = [row for row in here if row["gap"] == gap]
            for metric in dict.fromkeys(row["metric"] for row in at):
                of = [row for row in at if row["metric"] == metric]
                best = strongest(of, "berth")
                by = {row["name"]: row["wall_ms"] for row in of}
                ratio = (f"{by['berth'] / best:.2f}"
                         if best and "berth" in by else "")
                lines.append(f"| {metric} | " + " | ".join(
                    f"{by[n]:.1f}" if n in by else "" for n in names)
                    + f" | {ratio} |")
    return lines


def memory_table(rows):
    lines = ["", "### Memory, KiB (Rss / Pss / private)", "",
             "| runtime | pods | daemon | one shim (mean) |",
             "|---|--:|--:|--:|"]
    for row in rows:
        def cell(kind):
            use = row.get(kind)
            if not use or not use["count"]:
                return ""
            return " / ".join(f"{use[c] / use['count']:,.0f}"
                              for c in ("rss", "pss", "private"))
        lines.append(f"| {row['name']} | {row['pods']} | {cell('daemon')} |"
                     f" {cell('shim')} |")
    return lines


def docker_tables(docker):
    """times: name, gap, metric, wall_ms ...; memory: name, containers ..."""
    rows = docker["times"]
    names = sorted({row["name"] for row in rows})
    lines = ["", f"### docker CLI {docker['cli']}, each engine with its own "
             "bridge network"]
    for gap in sorted({row["gap"] for row in rows}):
        lines += ["", ("Back to back" if gap == 0 else f"With {gap} ms of rest")
                  + ": ms (p10–p90), and CPU ms of the engine with all its "
                  "processes", "",
                  "| | " + " | ".join(f"{n} | CPU" for n in names)
                  + " | berth × | CPU of the CLI |",
                  "|---|" + "--:|" * (2 * len(names) + 2)]
        at = [row for row in rows if row["gap"] == gap]
        for metric in dict.fromkeys(row["metric"] for row in at):
            by = {row["name"]: row for row in at if row["metric"] == metric}
            best = strongest(by.values(), "berth")
            line = f"| {metric} |"
            for name in names:
                one = by[name]
                line += (f" **{one['wall_ms']:.1f}** ({one['p10']:.1f}–"
                         f"{one['p90']:.1f}) | {one['engine_cpu_ms']:.1f} |")
            ratio = f"{by['berth']['wall_ms'] / best:.2f}" if best else ""
            lines.append(line + f" {ratio} | {by['berth']['cli_cpu_ms']:.1f} |")
    lines += ["", "### Memory of the engines, KiB (Rss / Pss / private)", "",
              "dockerd's line is dockerd and containerd together.", "",
              "| engine | containers | daemons | threads | all shims |"
              " threads |", "|---|--:|--:|--:|--:|--:|"]
    for row in docker["memory"]:
        def cells(kind):
            use = row.get(kind)
            if not use:
                return " | |"
            return (" " + " / ".join(f"{use[c]:,}" for c in
                                     ("rss", "pss", "private"))
                    + f" | {use['threads']} |")
        lines.append(f"| {row['name']} | {row['containers']} |"
                     + cells("daemon") + cells("shim"))
    return lines


def pull_table(pull):
    image = pull["image"]
    lines = ["", f"### Pull of an image of {image['layers']} layers, "
             f"{image['tar'] / 1e6:.0f} MB, {image['blobs'] / 1e6:.0f} MB "
             "compressed with gzip, from a registry on loopback; medians of "
             f"{pull['rounds']} rounds", "",
             "| | ms (p10–p90) | × strongest | CPU ms | peak RSS MiB | "
             "RSS after removal |", "|---|--:|--:|--:|--:|--:|"]
    best = strongest(pull["rows"], "berth")
    for row in sorted(pull["rows"], key=lambda r: r["wall_ms"]):
        ratio = f"{row['wall_ms'] / best:.2f}" if best else ""
        lines.append(f"| {row['name']} | **{row['wall_ms']:.0f}** "
                     f"({row['p10']:.0f}–{row['p90']:.0f}) | {ratio} | "
                     f"{row['cpu_ms']:.0f} | {row['peak_kib'] / 1024:.0f} | "
                     f"{row['after_kib'] / 1024:.0f} |")
    return lines


def tables(results):
    at = results["machine"]
    lines = ["# Measured",
             "",
             f"{at['date']}, {at['cores']} cores ({at['cpu']}), kernel "
             f"{at['kernel']}, cgroup {at['cgroup']}, load {at['load']:.1f} at"
             f" the start and {at.get('load at the end', 0):.1f} at the end. "
             f"Medians of {results['rounds']} rounds; every round runs all of "
             "them in a new random order. Ratios travel to other machines, "
             "times do not. \"×\" is against the fastest of the others in the "
             "same column."]
    if "oci" in results:
        lines += oci_table(results["oci"])
    if "pods" in results:
        lines += pods_table(results["pods"])
    if "memory" in results:
        lines += memory_table(results["memory"])
    if "pull" in results:
        lines += pull_table(results["pull"])
    if "docker" in results:
        lines += docker_tables(results["docker"])
    lines += before_table(results)
    return "\n".join(lines) + "\n"


def charts(results):
    """(title, unit, [(name, value)]) of each group of bars."""
    found = []
    for profile in ("plain", "seccomp"):
        for gap in sorted({r["gap"] for r in results.get("oci", [])}):
            bars = [(r["name"], r["wall_ms"]) for r in results["oci"]
                    if r["profile"] == profile and r["gap"] == gap
                    and "no container" not in r["name"]]
            rest = "back to back" if gap == 0 else f"{gap} ms rest"
            found.append((f"run /bin/true, {profile}, {rest}", "ms", bars))
    rows = results.get("pods", [])
    for metric in ("pod start", "ExecSync"):
        for net in ("host", "bridge"):
            for gap in sorted({r["gap"] for r in rows}):
                bars = [(r["name"], r["wall_ms"]) for r in rows
                        if r["metric"] == metric and r["net"] == net
                        and r["gap"] == gap]
                rest = "back to back" if gap == 0 else f"{gap} ms rest"
                if bars:
                    found.append((f"{metric}, {net} network, {rest}", "ms",
                                  bars))
    if "pull" in results:
        found.append(("pull of an image", "ms",
                      [(r["name"], r["wall_ms"])
                       for r in results["pull"]["rows"]]))
    rows = results.get("docker", {}).get("times", [])
    for gap in sorted({r["gap"] for r in rows}):
        rest = "back to back" if gap == 0 else f"{gap} ms rest"
        found.append((f"docker run --rm busybox true, {rest}", "ms",
                      [(r["name"], r["wall_ms"]) for r in rows
                       if r["gap"] == gap and "run --rm" in r["metric"]]))
    for pods in sorted({r["pods"] for r in results.get("memory", [])}):
        bars = [(r["name"], r["shim"]["pss"] / r["shim"]["count"] / 1024)
                for r in results["memory"]
                if r["pods"] == pods and r["shim"]["count"]]
        found.append((f"shim Pss at {pods} pods", "MiB", bars))
    return found


def plot(results):
    """Groups of horizontal bars, two groups a row."""
    bar, gap, left, width, column = 16, 4, 190, 200, 460
    groups = charts(results)
    parts = []
    tops = [10, 10]
    for number, (title, unit, bars) in enumerate(groups):
        side = number % 2
        x, y = side * column + 10, tops[side]
        parts.append(f'<text x="{x}" y="{y + 14}" class="t">'
                     f"{html.escape(title)}</text>")
        y += 22
        top = max((value for _, value in bars), default=1) or 1
        for name, value in sorted(bars, key=lambda b: b[1]):
            length = max(1, width * value / top)
            colour = OURS if name.startswith("berth") else THEIRS
            parts.append(
                f'<text x="{x + left - 6}" y="{y + 12}" class="n">'
                f"{html.escape(name)}</text>"
                f'<rect x="{x + left}" y="{y}" width="{length:.1f}" '
                f'height="{bar}" fill="{colour}"/>'
                f'<text x="{x + left + length + 4:.1f}" y="{y + 12}">'
                f"{value:.1f} {unit}</text>")
            y += bar + gap
        tops[side] = y + 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * column + 20}"'
            f' height="{max(tops)}" font-family="sans-serif" font-size="11">'
            "<style>.t{font-weight:bold;font-size:12px}"
            ".n{text-anchor:end}</style>"
            '<rect width="100%" height="100%" fill="white"/>'
            + "".join(parts) + "</svg>\n")
