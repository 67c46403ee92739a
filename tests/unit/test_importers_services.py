"""Answers of monitoring services: their units, orders and labels, and what is no memory of one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import leaklab as ll
from leaklab.errors import LeaklabError, UsageError
from leaklab.results.run import Run

MIB = 1 << 20
START = 1_700_000_000
TIMES = [START + 60 * n for n in range(60)]
# Memory in MiB of what leaks, by 1 MiB a minute, and of what does not.
HELD = {"web": [200 + n for n in range(60)], "db": [300 + n % 3 for n in range(60)]}


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def cloudwatch(scale: float, unit: str, label: str) -> Any:
    rows = [
        {"Timestamp": iso(at), "Average": held * scale, "Unit": unit}
        for at, held in zip(TIMES, HELD["web"], strict=True)
    ]
    random.Random(4).shuffle(rows)
    return {"Label": label, "Datapoints": rows}


def cloudwatch_data(label: str, scale: float) -> Any:
    results = [
        {
            "Id": f"m{number}",
            "Label": f"{name} {label}",
            "Timestamps": [iso(at) for at in reversed(TIMES)],
            "Values": [value * scale for value in reversed(held)],
        }
        for number, (name, held) in enumerate(HELD.items())
    ]
    return {"MetricDataResults": results, "Messages": []}


def datadog(metric: str) -> Any:
    unit = {"family": "bytes", "scale_factor": 1048576.0, "name": "mebibyte"}
    series = [
        {
            "metric": metric,
            "tag_set": [f"container_name:{name}"],
            "unit": [unit, None],
            "pointlist": [[at * 1000.0, v] for at, v in zip(TIMES, held, strict=True)],
        }
        for name, held in HELD.items()
    ]
    series[0]["pointlist"][3][1] = None
    return {"status": "ok", "series": series}


def datadog_2() -> Any:
    unit = {"family": "bytes", "scale_factor": 1048576.0, "name": "mebibyte"}
    attributes = {
        "series": [{"group_tags": [f"service:{name}"], "unit": [unit, None]} for name in HELD],
        "times": [at * 1000 for at in TIMES],
        "values": list(HELD.values()),
    }
    return {"data": {"type": "timeseries_response", "attributes": attributes}}


def google(*kinds: str) -> Any:
    return {
        "timeSeries": [
            {
                "metric": {
                    "type": "kubernetes.io/container/memory/used_bytes",
                    "labels": {"memory_type": kind} if kind else {},
                },
                "resource": {"labels": {"pod_name": name, "container_name": "app"}},
                "points": [
                    {"interval": {"endTime": iso(at)}, "value": {"int64Value": str(v * MIB)}}
                    for at, v in reversed(list(zip(TIMES, held, strict=True)))
                ],
            }
            for name, held in HELD.items()
            for kind in kinds
        ],
        "unit": "By",
    }


def azure() -> Any:
    parts = [
        {
            "metadatavalues": [{"name": {"value": "instance"}, "value": name}],
            "data": [
                {"timeStamp": iso(at), "average": v * MIB, "maximum": None}
                for at, v in zip(TIMES, held, strict=True)
            ],
        }
        for name, held in HELD.items()
    ]
    metric = {"name": {"value": "MemoryWorkingSet"}, "unit": "Bytes", "timeseries": parts}
    return {"namespace": "Microsoft.Web/sites", "value": [metric]}


def otlp(name: str = "process.memory.usage", begun: Callable[[int], int] = lambda n: START) -> str:
    def resource(service: str, number: int) -> Any:
        point = {
            "timeUnixNano": str(TIMES[number] * 10**9),
            "startTimeUnixNano": str(begun(number) * 10**9),
            "asInt": str(HELD[service][number] * MIB),
        }
        total = {"dataPoints": [point], "aggregationTemporality": 2}
        attributes = [{"key": "service.name", "value": {"stringValue": service}}]
        metrics = [{"name": name, "unit": "By", "sum": total}]
        return {
            "resource": {"attributes": attributes},
            "scopeMetrics": [{"metrics": metrics}],
        }

    lines = [{"resourceMetrics": [resource(s, n) for s in HELD]} for n in range(60)]
    return "\n".join(map(json.dumps, lines)) + "\n"


def flux() -> str:
    lines = ["#group,false,false,true", "#datatype,string,long,double", "#default,_result,,"]
    lines += [",result,table,_time,_value,_field,_measurement,process_name"]
    for number, (name, held) in enumerate(HELD.items()):
        for at, v in zip(TIMES, held, strict=True):
            lines.append(f",,{number},{iso(at)},{v * MIB},memory_rss,procstat,{name}")
    cpu = [line.replace("memory_rss", "cpu_usage") for line in lines[4:]]
    return "\r\n".join([*lines, "", *lines[:4], *cpu, "", ""])


def influxql() -> Any:
    series = [
        {
            "name": "procstat",
            "tags": {"process_name": name},
            "columns": ["time", "mean_memory_rss"],
            "values": [[iso(at), v * MIB] for at, v in zip(TIMES, held, strict=True)],
        }
        for name, held in HELD.items()
    ]
    return {"results": [{"statement_id": 0, "series": series}]}


def line_protocol() -> str:
    return "".join(
        f"procstat,host=h\\ 1,process_name={name} "
        f'memory_rss={held[n] * MIB}i,cmd="a b" {at}000000000\n'
        for n, at in enumerate(TIMES)
        for name, held in HELD.items()
    )


def read(folder: Path, content: Any, **options: Any) -> Run:
    path = folder / "answer"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return ll.read(path, **options)


@pytest.mark.parametrize(
    ("content", "resource"),
    [
        (datadog("docker.mem.rss"), "rss_bytes"),
        (datadog_2(), "gauge:query_0_bytes"),
        (
            google("non-evictable", "evictable"),
            "gauge:kubernetes_io_container_memory_used_bytes_non_evictable_bytes",
        ),
        (azure(), "gauge:MemoryWorkingSet_bytes"),
        (otlp(), "rss_bytes"),
        (flux(), "rss_bytes"),
        (influxql(), "rss_bytes"),
        (line_protocol(), "rss_bytes"),
        (cloudwatch_data("procstat_memory_rss", MIB), "rss_bytes"),
        (cloudwatch_data("MemoryUtilized", 1), "gauge:MemoryUtilized_bytes"),
    ],
    ids=lambda part: part[:20] if isinstance(part, str) else None,
)
def test_a_series_of_each_process_has_its_verdict(
    tmp_path: Path, content: Any, resource: str
) -> None:
    entries = [e for e in read(tmp_path, content).verdict().resources if e.name == resource]
    found = {"web" if "web" in e.role else "db": e for e in entries}
    assert len(entries) == 2
    assert found["web"].verdict == "leak"
    assert found["web"].rate == pytest.approx(MIB / 60, rel=0.02)
    assert found["db"].verdict == "bounded"


@pytest.mark.parametrize(
    ("answer", "resource", "pace"),
    [
        (cloudwatch(MIB, "Bytes", "mem_used"), "gauge:mem_used_bytes", MIB),
        (cloudwatch(1, "Megabytes", "MemoryUtilized"), "gauge:MemoryUtilized_bytes", MIB),
        (cloudwatch(0.1, "Percent", "MemoryUtilization"), "gauge:MemoryUtilization", 0.1),
    ],
)
def test_cloudwatch_hands_over_points_in_any_order(
    tmp_path: Path, answer: Any, resource: str, pace: float
) -> None:
    entry = read(tmp_path, answer).verdict().resource(resource)
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx(pace / 60, rel=0.02)


@pytest.mark.parametrize(
    "answer", [google(""), datadog("kubernetes.memory.usage"), otlp("container.memory.usage")]
)
def test_what_holds_page_cache_proves_no_leak(tmp_path: Path, answer: Any) -> None:
    verdict = read(tmp_path, answer).verdict()
    assert verdict.verdict == "inconclusive"
    assert "page cache" in verdict.reason


def test_a_start_time_of_opentelemetry_tells_restarts(tmp_path: Path) -> None:
    run = read(tmp_path, otlp(begun=lambda n: START + 1800 * (n // 30)))
    assert "1 restart of web cut out" in " ".join(e["text"] for e in run.meta["events"])


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    run = read(tmp_path, otlp()[:-40])
    assert len(run.data.samples_of("rss_bytes")) == 118
    assert "last line left out" in " ".join(e["text"] for e in run.meta["events"])


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (cloudwatch_data("custom_memory", 1), {}, "no unit for web custom_memory: .*--unit bytes"),
        ({"Label": "mem_used", "Datapoints": []}, {}, "an answer without figures"),
        (
            "\n".join(json.dumps(cloudwatch(n, "Bytes", "mem_used")) for n in (1, 2)),
            {},
            "several series of the same name and labels",
        ),
        (datadog("system.load.1"), {"values": ["a"]}, "no metric a: .*there are system.load.1"),
    ],
)
def test_what_cannot_be_told_is_asked_for(
    tmp_path: Path, content: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, content, **options)


def test_a_damaged_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(LeaklabError, match="a damaged answer of CloudWatch"):
        read(tmp_path, {"Label": "mem_used", "Datapoints": [{"Timestamp": "never"}]})


def test_a_unit_that_is_not_told_is_taken_from_the_option(tmp_path: Path) -> None:
    run = read(tmp_path, cloudwatch_data("custom_memory", 1), unit="MiB")
    assert "memory in MiB" in run.meta["events"][0]["text"]
    entry = next(e for e in run.verdict().resources if "web" in e.role)
    assert entry.rate == pytest.approx(MIB / 60, rel=0.02)
