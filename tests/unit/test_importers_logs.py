"""Files of mprof, psrecord, pidstat, top, ps and docker, and log lines, as each tool writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.analysis.series import resource_series
from leaklab.errors import UsageError
from leaklab.results.run import Run

EVIDENCE = Path(__file__).parents[1] / "evidence"
MIB = 1 << 20


def rate(run: Run, name: str = "rss_bytes", role: str = "main") -> float:
    entry = run.verdict().resource(name, role)
    assert entry is not None
    return entry.rate


def notes(run: Run) -> str:
    return " ".join(event["text"] for event in run.meta["events"])


def test_calls_in_an_mprof_file_are_marks() -> None:
    run = ll.read(EVIDENCE / "mprof_calls.dat")
    assert run.verdict().verdict == "leak"
    assert run.verdict().resources[0].unit == "iteration"
    assert rate(run) == pytest.approx(1e6, rel=0.01)  # 1 MB a call
    assert "25 calls of __main__.work" in notes(run)


def test_children_in_an_mprof_file_are_processes() -> None:
    run = ll.read(EVIDENCE / "mprof_child.dat")
    roles = [process["role"] for process in run.meta["processes"]]
    assert roles[0] == "main"
    assert roles[1].startswith("child ")
    assert rate(run, role=roles[1]) == pytest.approx(400_000 / 0.0306, rel=0.1)


def test_runs_in_one_mprof_file_are_lives() -> None:
    run = ll.read(EVIDENCE / "mprof_three_runs.dat")
    assert len(run.meta["processes"]) == 3
    assert "3 runs in one file" in notes(run)
    assert "2 restarts cut out" in notes(run)


def test_the_last_zero_of_mprof_is_no_figure(tmp_path: Path) -> None:
    lines = [f"MEM {50 + n} {1.7e9 + n:.4f}" for n in range(20)]
    path = tmp_path / "mprofile.dat"
    path.write_text("\n".join(["CMDLINE python a.py", *lines, "MEM 0.000000 1700000020.0000"]))
    assert ll.read(path).data.samples["value"].min() == 50 * MIB


def test_psrecord() -> None:
    run = ll.read(EVIDENCE / "psrecord_leaky.log")
    assert run.verdict().verdict == "leak"
    assert rate(run) == pytest.approx(400_000 / 0.0306, rel=0.1)
    run = ll.read(EVIDENCE / "psrecord_gunicorn.log")
    assert run.data.samples["value"].iloc[0] == pytest.approx(227.293 * MIB)
    assert run.verdict().resource("gauge:cpu_percent") is not None


PIDSTAT = """Linux 6.1.0 (host)  03/01/24  _x86_64_  (4 CPU)

{heading}
{rows}
Average:     1000      1234      0.00      0.00  123456   45678   0.56  python
"""


@pytest.mark.parametrize("form", ["24", "12", "-h"])
def test_pidstat(tmp_path: Path, form: str) -> None:
    columns = "UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command"
    rows = []
    for n in range(30):
        hour, minute = divmod(10 * 60 + n, 60)
        clock = {
            "24": f"{hour:02}:{minute:02}:00",
            "12": f"{hour:02}:{minute:02}:00 AM",
            "-h": f" {1_700_000_000 + 60 * n}",
        }[form]
        rows.append(f"{clock}  1000  1234  0.00  0.00  500000  {100_000 + 1024 * n}  0.5  python")
    head = {"24": "10:00:00", "12": "10:00:00 AM", "-h": "# Time "}[form]
    path = tmp_path / "pidstat.txt"
    path.write_text(PIDSTAT.format(heading=f"{head}  {columns}", rows="\n".join(rows)))
    run = ll.read(path)
    assert run.verdict().verdict == "leak"
    assert rate(run) == pytest.approx(MIB / 60, rel=0.01)
    assert run.meta["processes"][0]["pid"] == 1234


def test_pidstat_as_it_prints() -> None:
    run = ll.read(EVIDENCE / "pidstat_python.txt")
    assert run.verdict().verdict == "leak"
    assert rate(run) == pytest.approx(4 * MIB, rel=0.02)


@pytest.mark.skipif(shutil.which("top") is None, reason="no top on this machine")
def test_top_as_it_prints_here(tmp_path: Path) -> None:
    path = tmp_path / "top.txt"
    with path.open("w") as out:
        top = ["top", "-b", "-d", "0.1", "-n", "3", "-w", "200"]
        subprocess.run(top, stdout=out, timeout=30, check=True)
    run = ll.read(path)
    # The figures are those of this machine; only their form is known.
    assert run.verdict().resources
    assert run.data.samples["name"].isin(["rss_bytes", "gauge:cpu_percent"]).all()


def test_top_of_one_process(tmp_path: Path) -> None:
    block = """top - {hour:02}:{minute:02}:00 up 10 days,  1:02,  1 user,  load average: 0.1
Tasks:   1 total,   1 running,   0 sleeping,   0 stopped,   0 zombie
MiB Mem :  24105.6 total,  20916.4 free,   1194.2 used,   2298.2 buff/cache

    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
   1234 me        20   0  843452 {res}  34952 R 100.0   2.8   0:13.67 python
"""
    text = "\n".join(
        block.format(hour=10 + n // 60, minute=n % 60, res=res)
        for n, res in enumerate([100_000 + 1024 * n for n in range(30)])
    )
    path = tmp_path / "top.txt"
    path.write_text(text)
    run = ll.read(path)
    assert rate(run) == pytest.approx(MIB / 60, rel=0.01)
    path.write_text(text.replace(" 100000 ", " 1.5g "))
    assert ll.read(path).data.samples["value"].max() == 1.5 * (1 << 30)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps on this machine")
def test_a_loop_over_ps_of_a_real_process(tmp_path: Path) -> None:
    target = "k=[]\nwhile input(): k.append(bytearray(2 << 20)); print(flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = []

    def look(number: int) -> None:
        lines.append(time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(1.7e9 + 60 * number)))
        ps = ["ps", "-o", "pid,rss,nlwp,comm", "-p", str(process.pid)]
        lines.append(subprocess.run(ps, capture_output=True, text=True, check=True).stdout)

    for number in range(12):
        process.stdin.write("more\n")
        process.stdin.flush()
        process.stdout.readline()
        look(number)
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.read()  # it has ended, and was not waited for: ps calls it defunct
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    look(12)
    process.communicate()
    if "<defunct>" not in lines[-1]:  # ps 4.0.2 leaves it out of this column
        lines[-1] = lines[-1].rstrip() + " <defunct>\n"
    path = tmp_path / "ps.log"
    path.write_text("\n".join(lines))
    run = ll.read(path)
    assert rate(run) == pytest.approx(2 * MIB / 60, rel=0.05)
    assert run.verdict().resource("thread_count") is not None
    path.write_text("\n".join(line for line in lines if "UTC" not in line))
    assert run.meta["processes"][0]["pid"] == process.pid
    assert ll.read(path).verdict().resources[0].unit == "iteration"


DOCKER = (
    "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O    BLOCK I/O   PIDS"
)


def test_docker_stats_as_a_table_and_as_json(tmp_path: Path) -> None:
    table, objects = [], []
    for n in range(30):
        used = f"{100 + n}MiB / 1GiB"
        moment = f"2024-03-01 10:{n:02}:00"
        table += [
            moment,
            "\x1b[2J\x1b[H" + DOCKER,
            f"f3b1c2d4e5f6   web       0.05%     {used}     9.8%      1kB / 0B   0B / 0B     12",
        ]
        entry = {"Name": "web", "CPUPerc": "0.05%", "MemUsage": used, "PIDs": "12"}
        objects.append(f"{moment} {json.dumps(entry)}")
    for name, lines in (("table", table), ("json", objects)):
        path = tmp_path / name
        path.write_text("\n".join(lines))
        run = ll.read(path)
        assert rate(run, "gauge:docker_memory_usage_bytes") == pytest.approx(MIB / 60, rel=0.02)
        assert run.meta["limits"] == {"cgroup_memory_bytes": 1 << 30}
        assert run.verdict().verdict == "inconclusive"  # it holds page cache
        assert "page cache" in run.verdict().reason


@pytest.mark.parametrize("indent", [None, 2])
def test_objects_of_docker_stats_with_a_time_of_their_own(
    tmp_path: Path, indent: int | None
) -> None:
    objects = [
        {"ts": 1_700_000_000 + 60 * n, "Name": name, "CPUPerc": "0.05%", "MemUsage": used}
        for n in range(30)
        for name, used in (("web", f"{100 + n}MiB / 1GiB"), ("db", "80MiB / 1GiB"))
    ]
    path = tmp_path / "stats.json"
    path.write_text("\n".join(json.dumps(entry, indent=indent) for entry in objects))
    run = ll.read(path)
    name = "gauge:docker_memory_usage_bytes"
    assert rate(run, name, "web") == pytest.approx(MIB / 60, rel=0.02)


@pytest.mark.parametrize(
    "form",
    [
        "%a %b %d %H:%M:%S UTC %Y",
        "%a %b %d %I:%M:%S %p UTC %Y",
        "%a %d %b %Y %I:%M:%S %p UTC",
        "%a %d %b %H:%M:%S GMT %Y",
        "%a, %d %b %Y %H:%M:%S +0000",
        "%Y/%m/%d %H:%M:%S",
        "%m/%d/%Y %I:%M:%S %p",
        "%Y-%m-%d_%H:%M:%S",
        "=== %s ===",
    ],
)
def test_dates_between_tables_as_people_print_them(tmp_path: Path, form: str) -> None:
    # Once a day and a minute, and past noon: neither the day nor the half of it may be lost.
    lines = []
    for number in range(40):
        moment = datetime.fromtimestamp(1_700_000_000 + 86_460 * number, UTC)
        text = form.replace("%s", str(int(moment.timestamp())))
        clock = moment.strftime("%H:%M:%S")
        lines += [
            moment.strftime(text),
            f"top - {clock} up 10 days,  3:02,  1 user,  load average: 0.00, 0.01, 0.05",
            "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND",
            f"   1200 root 20 0 900000 {(200 + number) * 1024} 11000 S 1.0 2.0 0:01.00 python",
        ]
    path = tmp_path / "top.txt"
    path.write_text("\n".join(lines))
    assert rate(ll.read(path)) == pytest.approx(MIB / 86_460, rel=0.02)


def test_each_container_meets_its_own_limit(tmp_path: Path) -> None:
    lines = []
    for n in range(40):
        lines += [f"2024-03-01 10:{n:02}:00", DOCKER]
        for name, used, limit in (("api", 400 + 15 * n, "1GiB"), ("db", 200 + n % 3, "512MiB")):
            lines.append(
                f"f3b1c2d4e5f6   {name}   0.05%   {used}MiB / {limit}   9.8%   0B   0B   12"
            )
    path = tmp_path / "stats"
    path.write_text("\n".join(lines))
    near = "gauge:docker_memory_usage_bytes of api comes near 1 GiB (limit of the control group)"
    assert ll.read(path).limit_text() == f"{near}: its highest was 985 MiB"
    # What was asked for stands in for what the file says, also where that is less.
    assert ll.read(path, limit_bytes=2048 * MIB).limit_text() is None
    asked = ll.read(path, limit_bytes=600 * MIB).limit_text()
    assert asked is not None
    assert "of api has already reached 600 MiB (--limit)" in asked


def test_log_lines_by_a_regular_expression(tmp_path: Path) -> None:
    run = ll.read(
        EVIDENCE / "arrow_log.txt", line=r"Chunk: (?P<iteration>\d+); RSS: (?P<rss_mb>[\d.]+)"
    )
    assert run.verdict().verdict == "leak"
    assert run.verdict().resources[0].unit == "iteration"
    path = tmp_path / "app.log"
    path.write_text(
        "\n".join(
            f"2024-03-01 10:{n:02}:00,123 INFO Memory: RSS={90.5 + n} MB\nnoise" for n in range(40)
        )
    )
    run = ll.read(path, line=r"RSS=([\d.]+) MB")
    assert rate(run) == pytest.approx(MIB / 60, rel=0.01)
    for line, message in (("RSS=(", "not a regular"), ("RSS", "no group"), ("(x+)", "no line")):
        with pytest.raises(UsageError, match=message):
            ll.read(path, line=line)


@pytest.mark.parametrize("unit", ["kB", "KB", "KiB", "kb"])
def test_a_unit_behind_a_figure_counts_however_it_is_spelt(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"RSS: {1000 + n} {unit}\n" for n in range(12)))
    run = ll.read(path, line=r"RSS: (?P<rss>\d+)")
    assert resource_series(run.data, "rss_bytes")["value"].iloc[0] == 1000 * 1024
    path.write_text(f"seconds,rss_{unit}\n" + "".join(f"{n},{1000 + n}\n" for n in range(12)))
    assert resource_series(ll.read(path).data, "rss_bytes")["value"].iloc[0] == 1000 * 1024


@pytest.mark.parametrize("form", ["lines", "csv"])
def test_what_is_called_mark_counts_units_of_work(tmp_path: Path, form: str) -> None:
    path = tmp_path / "service.log"
    rows = [(f"2026-07-01 12:{n // 60:02}:{n % 60:02}", 80 + n * 0.5, 20 * n) for n in range(200)]
    if form == "lines":
        path.write_text("\n".join(f"{at} rss={rss}MiB reqs={mark}" for at, rss, mark in rows))
        line = r"rss=(?P<rss>[\d.]+)(?P<unit>MiB) reqs=(?P<mark>\d+)"
        run = ll.read(path, line=line)
    else:
        table = "\n".join(f"{at},{rss},{mark}" for at, rss, mark in rows)
        path.write_text(f"time,rss_mib,mark\n{table}")
        run = ll.read(path)
    assert [entry.name for entry in run.verdict().resources] == ["rss_bytes"]
    assert run.verdict().resources[0].unit == "iteration"
    assert rate(run) == pytest.approx(0.5 * MIB / 20, rel=0.02)
    assert "mark as marks" in notes(run)


@pytest.mark.parametrize("form", ["-rv", "-rvu", "-rv -h"])
def test_pidstat_tells_threads_and_descriptors(tmp_path: Path, form: str) -> None:
    tables = {
        "u": ("%usr %system %CPU CPU Command", "1.00 0.00 1.00 0 python3"),
        "r": ("minflt/s majflt/s VSZ RSS %MEM Command", "5.00 0.00 90000 {rss} 0.50 python3"),
        "v": ("threads fd-nr Command", "4 {fds} python3"),
    }
    lines = ["Linux 6.1.0 (host)  07/01/2026  _x86_64_  (2 CPU)", ""]
    for number in range(60):
        clock = f"12:{number:02}:01"
        told = {"rss": 40_000 + 100 * number, "fds": 10 + number}
        if form.endswith("-h"):
            headings, rows = (
                " ".join(tables[which][place].rsplit(" ", 1)[0] for which in "rv")
                for place in (0, 1)
            )
            lines += [f"# Time UID PID {headings} Command"]
            lines += [f"{clock} 1000 77 {rows} python3".format(**told), ""]
            continue
        for which in (which for which in "urv" if which in form):
            heading, row = tables[which]
            lines += [f"{clock} UID PID {heading}", f"{clock} 1000 77 {row}".format(**told), ""]
    path = tmp_path / "pidstat.txt"
    path.write_text("\n".join(lines))
    run = ll.read(path)
    assert rate(run) == pytest.approx(100 * 1024 / 60, rel=0.01)
    assert rate(run, "fd_count") == pytest.approx(1 / 60, rel=0.01)
    assert set(run.data.samples_of("thread_count")["value"]) == {4.0}
    assert "summed" not in notes(run)


@pytest.mark.parametrize("kind", ["pods", "containers", "all namespaces"])
def test_kubectl_top_tells_pods_apart(tmp_path: Path, kind: str) -> None:
    column = {"pods": "", "containers": "POD       ", "all namespaces": "NAMESPACE "}[kind]
    before = column and "prod      "
    lines = []
    for number in range(120):
        lines += [
            time.strftime("%a %b %d %H:%M:%S CET %Y", time.gmtime(1_700_000_000 + 60 * number)),
            f"{column}NAME     CPU(cores)   MEMORY(bytes)",
            f"{before}web-0    250m         {200 + number}Mi",
            f"{before}db-0     2            900Mi",
        ]
    path = tmp_path / "top.txt"
    # kubectl fills the last column with spaces.
    path.write_text("".join(f"{line}           \n" for line in lines))
    run = ll.read(path)
    memory = "gauge:container_memory_working_set_bytes"
    role = f"{before.strip()} web-0".strip()
    assert rate(run, memory, role) == pytest.approx(MIB / 60, rel=0.02)
    assert "page cache" in run.verdict().reason
    cpu = resource_series(run.data, "gauge:cpu_percent", role=role)["value"]
    assert set(cpu) == {25.0}


@pytest.mark.parametrize("option", ["", "-k"])
def test_smem_tells_processes_apart(tmp_path: Path, option: str) -> None:
    lines = []
    for number in range(120):
        rss = f"{200 + number}.0M" if option else str((200 + number) * 1024)
        lines += [
            f"2026-07-01 {12 + number // 60}:{number % 60:02}:00",
            "  PID User     Command                         Swap      USS      PSS      RSS ",
            "  812 www-data nginx -g daemon off;               0     1000     2000     9000 ",
            f" 1234 app      /usr/bin/python3 app.py            0     5000     6000 {rss} ",
        ]
    path = tmp_path / "smem.txt"
    path.write_text("\n".join(lines))
    run = ll.read(path)
    assert rate(run, role="python3 app.py") == pytest.approx(MIB / 60, rel=0.02)
    pss = resource_series(run.data, "gauge:pss_bytes", role="python3 app.py")["value"]
    assert set(pss) == {6000.0 * 1024}
    assert {row["pid"] for row in run.meta["processes"]} == {812, 1234}


@pytest.mark.parametrize("line", [r"RSS=(?P<rss>[\d.]+) MB", r"RSS=(?P<rss>[\d.]+ MB)"])
@pytest.mark.parametrize(
    ("unit", "bytes_", "said"), [(None, MIB, "MiB"), ("MB", 10**6, "MB (10^6")]
)
def test_a_unit_is_the_same_within_the_group_and_behind_it(
    tmp_path: Path, line: str, unit: str | None, bytes_: int, said: str
) -> None:
    path = tmp_path / "app.log"
    path.write_text("".join(f"2026-11-01T00:{n:02}:00Z RSS={300 + n}.5 MB\n" for n in range(40)))
    run = ll.read(path, line=line, unit=unit)
    assert run.data.samples["value"].iloc[0] == 300.5 * bytes_
    assert f"rss in {said}" in run.meta["events"][0]["text"]


def test_what_unit_a_cell_was_taken_for_is_said(tmp_path: Path) -> None:
    for cells, said in (("2 MB", "MB (10^6 bytes)"), ("2MiB", "MiB"), ("30000", "bytes")):
        path = tmp_path / "figures.csv"
        heading = "rss" if cells != "30000" else "rss_bytes"
        path.write_text(f"time,{heading}\n" + "".join(f"{n},{cells}\n" for n in range(40)))
        assert f"{heading} in {said} as rss_bytes" in ll.read(path).meta["events"][0]["text"]


@pytest.mark.parametrize(
    "line",
    [
        "{epoch} rss={rss}",
        "[{epoch}.250] INFO rss={rss}",
        "{epoch}000 rss={rss}",
        "level=info ts={epoch}.5 rss={rss}",
        "{epoch} up since 10:00:00 rss={rss}",
    ],
)
def test_an_epoch_in_a_line_is_its_time(tmp_path: Path, line: str) -> None:
    path = tmp_path / "app.log"
    rows = [line.format(epoch=1_790_000_000 + 60 * n, rss=300 + n) for n in range(40)]
    path.write_text("\n".join(rows) + "\n")
    run = ll.read(path, line=r"rss=(?P<rss>\d+)", unit="MiB")
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.unit == "second"
    assert entry.rate == pytest.approx(MIB / 60, rel=0.01)


def test_a_figure_as_long_as_an_epoch_is_no_time(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("".join(f"{1_200_000_000 + 10**6 * n} bytes\n" for n in range(40)))
    run = ll.read(path, line=r"^(?P<rss>\d+)")
    assert run.verdict().resources[0].unit == "iteration"


def test_the_memory_of_the_host_may_stand_beside_that_of_processes(tmp_path: Path) -> None:
    lines = []
    for number in range(40):
        lines += [
            f"2026-11-20 08:{number:02}:00",
            "               total        used        free      shared  buff/cache   available",
            "Mem:           32000        3000       20000          12        9000       29000",
            "    PID   RSS COMMAND",
            f"   1200 {(200 + number) * 1024} python app.py",
        ]
    path = tmp_path / "log.txt"
    path.write_text("\n".join(lines))
    assert rate(ll.read(path)) == pytest.approx(MIB / 60, rel=0.02)
