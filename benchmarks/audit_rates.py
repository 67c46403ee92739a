"""How often `leaklab audit` is right, rule by rule: over the catalogue, and over the corpus.

    python benchmarks/audit_rates.py [--json FILE] [--no-corpus] [--joined CASE...]

Of each case every variant is audited as the source it runs (``variant_source``), so that the leak
and its fix are two programs. A variant that its case declares a leak must have a candidate that is
about it; one of role ``better_fix`` or ``control`` should have none. Likewise the corpus: its leaks
against their healthy twins. Static alone; what a run then says of each is the state.

A rule's precision here is the share of the programs it speaks up in that do leak; its recall the
share of the leaking programs it speaks up in. A candidate counts as about the leak when it names
the declared holder, or stands in the declared function.

``--write`` stores the rates and what was raised where the package reads them, with the states of
earlier ``--joined ... --json FILE`` runs (``--states FILE...``).

``--joined`` records the leak and the better fix of the named cases with what the audit wants to
know, and says which candidates are confirmed: of a leak those about it, of a fix none.
``--joined-corpus`` does so with every program of the corpus; ``--joined-rows`` takes its JSON.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from detection import CORPUS, LABELS, read_corpus

from leaklab.catalogue.model import catalogue
from leaklab.catalogue.variant_source import variant_source
from leaklab.code_audit.find import find


def about(candidate, expectation, source):
    """Whether a candidate is about what the case declares."""
    holder, suspect = expectation.holder, expectation.suspect
    if holder is None and suspect is None:
        return True
    words = {word.strip(".") for name in candidate.holders for word in name.split(" → ")}
    words |= {(candidate.name or "").rpartition(":")[2]}
    if holder is not None and any(word and (word in holder or holder in word) for word in words):
        return True
    functions = {candidate.function or ""} | {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(node.lineno <= line <= node.end_lineno for line in candidate.lines)
    }
    return suspect is not None and any(name.rpartition(".")[2] == suspect for name in functions)


class Dispatch(ast.NodeTransformer):
    """``{"before": f}.get("before", g)`` is f."""

    def visit_Call(self, node):
        self.generic_visit(node)
        table = getattr(node.func, "value", None)
        if getattr(node.func, "attr", None) == "get" and isinstance(table, ast.Dict):
            if len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
                for key, value in zip(table.keys, table.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == node.args[0].value:
                        return value
                return node.args[1]
        return node


def running_source(source, variant):
    """What a variant runs: also where the target looks its function up by name."""
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    table = "{" + ", ".join(f'"{name}": {name}' for name in names) + "}"
    folded = variant_source(source.replace("globals()", table), variant)
    tree = ast.fix_missing_locations(Dispatch().visit(ast.parse(folded)))
    # Unparsed, comments are lost, and with them the excuses, which no rule looks at.
    return variant_source(ast.unparse(tree), variant)


def variants():
    """Yield (case, variant, source, leaks?) of everything the catalogue runs."""
    for case in catalogue().values():
        if not case.runnable:
            continue
        source = case.target.read_text(encoding="utf-8")
        for name, variant in case.variants.items():
            leaks = variant.role == "before" or variant.expectation.verdict == "leak"
            healthy = variant.role in ("better_fix", "control")
            if leaks or healthy:
                yield case, variant, running_source(source, name), leaks


def audit_text(text, folder):
    path = Path(folder, "target.py")
    path.write_text(text, encoding="utf-8")
    return find([path]).candidates


def catalogue_rows():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case, variant, source, leaks in variants():
            found = audit_text(source, folder)
            hits = [each for each in found if leaks and about(each, variant.expectation, source)]
            rows.append(
                {
                    "case": case.id,
                    "variant": variant.name,
                    "role": variant.role,
                    "leaks": leaks,
                    "rules": sorted({each.rule for each in found}),
                    "about": sorted({each.rule for each in hits}),
                    "candidates": [
                        f"{each.rule} {each.line} {each.name or each.text.strip()}"
                        for each in found
                    ],
                }
            )
    return rows


def corpus_rows():
    """The labelled programs of the corpus; a leak is right when its declared function is named."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        programs = [path for path in CORPUS.glob("*/*.py") if path.parent.name in LABELS]
        for path in sorted(programs, key=lambda path: path.name):
            if path.stem == "loop":
                continue
            label = path.parent.name
            found = audit_text(path.read_text(encoding="utf-8"), folder)
            rows.append(
                {
                    "case": path.stem,
                    "variant": label,
                    "role": label,
                    "leaks": label == "leak",
                    "rules": sorted({each.rule for each in found}),
                    "about": sorted({each.rule for each in found}) if label == "leak" else [],
                    "candidates": [
                        f"{each.rule} {each.line} {each.name or each.text.strip()}"
                        for each in found
                    ],
                }
            )
    return rows


def joined_rows(case_ids):
    """Audit whole targets with recordings: the states of all candidates by case and variant."""
    import leaklab as ll
    from leaklab.catalogue.recording import target_arguments
    from leaklab.catalogue.services import start_service

    rows = []
    for case_id in case_ids:
        case = catalogue()[case_id]
        values = case.values({}, quick=True)
        for name, variant in case.variants.items():
            if variant.role not in ("before", "better_fix") or case.missing():
                continue
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
                environment = dict(variant.environment)
                for service in case.services:
                    environment |= stack.enter_context(start_service(service))
                # The audited program is what the variant runs, as the static rates have it.
                target = Path(folder, "cases", case_id, "target.py")
                target.parent.mkdir(parents=True)
                source = running_source(case.target.read_text(encoding="utf-8"), name)
                target.write_text(source, encoding="utf-8")
                shutil.copy(case.target.with_name("case.toml"), target.parent)
                shutil.copy(case.target.parents[1] / "loopback.py", f"{folder}/cases")
                found = ll.audit(
                    target,
                    command=[str(target), *target_arguments(name, values)],
                    passes=variant.passes or case.passes or ("measure", "explain"),
                    watch_files=case.watch_files,
                    env=environment,
                    cwd=folder,
                    store=f"{folder}/runs",
                    progress=lambda event: None,
                )
            confirmed = [each for each in found.candidates if each.state == "confirmed"]
            rows.append(
                {
                    "case": case_id,
                    "variant": name,
                    "role": variant.role,
                    "states": found.counts(),
                    "confirmed": [
                        {
                            "rule": each.rule,
                            "line": each.line,
                            "name": each.name,
                            "evidence": each.evidence,
                            "about": about(each, variant.expectation, source),
                        }
                        for each in confirmed
                    ],
                }
            )
            print(f"  {case_id}/{name}: {found.counts()}")
            for each in rows[-1]["confirmed"]:
                mark = "" if each["about"] else " (NOT what the case declares)"
                print(f"    {each['rule']} line {each['line']}: {each['evidence']}{mark}")
    return rows


def joined_corpus_rows():
    """Audit each program of the corpus with a recording of it: what is confirmed, rule by rule."""
    import leaklab as ll

    rows = []
    for workload in read_corpus():
        with tempfile.TemporaryDirectory() as folder:
            found = ll.audit(
                workload.path,
                command=[str(workload.path), "--seed=0"],
                watch_files=["corpus.log"],
                cwd=folder,
                store=f"{folder}/runs",
                progress=lambda event: None,
            )
        confirmed = sorted({each.rule for each in found.candidates if each.state == "confirmed"})
        rows.append(
            {
                "case": workload.name,
                "leaks": workload.label == "leak",
                "rules": confirmed,
                "states": found.counts(),
            }
        )
        print(f"  {workload.name} ({workload.label}): {found.counts()} {confirmed}", flush=True)
    return rows


def rates(rows):
    """Per rule: programs it spoke up in, of those the leaking ones, and the leaking ones in all."""
    spoke, right = Counter(), Counter()
    for row in rows:
        for rule in row["rules"]:
            spoke[rule] += 1
            right[rule] += bool(row["leaks"])
    leaking = sum(row["leaks"] for row in rows)
    return [
        {
            "rule": rule,
            "programs": spoke[rule],
            "leaking": right[rule],
            "precision": right[rule] / spoke[rule],
            "recall": right[rule] / leaking if leaking else None,
        }
        for rule in sorted(spoke)
    ]


# Why no rule can see a leak that the catalogue has, or should not.
NOT_RAISED = {
    "react-effects": "JavaScript; the audit reads Python",
    "dependency-caches": "what grows is inside logging and warnings, not in this code",
    "login-attempts": "the cleanup is there; what it does not bound shows only when it runs",
}


def stored(rows, corpus, states, joined):
    """What the package keeps: rates by source and rule, and what was raised by case and variant."""
    cases = {}
    for row in rows:
        entry = {"role": row["role"], "leaks": row["leaks"], "about": row["about"]}
        cases.setdefault(row["case"], {})[row["variant"]] = entry
    for row in states:
        entry = cases[row["case"]][row["variant"]]
        entry["states"] = row["states"]
        entry["confirmed"] = sorted(
            {each["rule"] for each in row["confirmed"] if each["about"] or not entry["leaks"]}
        )
        entry["confirmed_elsewhere"] = sorted(
            {each["rule"] for each in row["confirmed"] if entry["leaks"] and not each["about"]}
        )
    sources = {"catalogue": rows, "corpus": corpus}
    found = {
        name: {
            "programs": len(every),
            "leaking": sum(row["leaks"] for row in every),
            "leaks_raised": sum(bool(row["about"]) for row in every if row["leaks"]),
            "healthy_raised": sum(bool(row["rules"]) for row in every if not row["leaks"]),
            "rules": rates(every),
        }
        for name, every in sources.items()
    }
    if joined:
        found["corpus, confirmed by a run"] = {
            "programs": len(joined),
            "leaking": sum(row["leaks"] for row in joined),
            "leaks_raised": sum(bool(row["rules"]) for row in joined if row["leaks"]),
            "healthy_raised": sum(bool(row["rules"]) for row in joined if not row["leaks"]),
            "rules": rates(joined),
        }
    return {"rates": found, "not_raised": NOT_RAISED, "cases": cases}


def report(title, rows):
    print(f"\n{title}: {len(rows)} programs, {sum(row['leaks'] for row in rows)} leak")
    for row in rates(rows):
        print(
            "  {rule:<9} in {programs:>3} programs, {leaking:>3} leak: "
            "precision {precision:.2f}, recall {recall:.2f}".format(**row)
        )
    leaks = [row for row in rows if row["leaks"]]
    healthy = [row for row in rows if not row["leaks"]]
    found = sum(bool(row.get("about", row["rules"])) for row in leaks)
    print(f"  any rule: {found} of {len(leaks)} leaks have a candidate that is about them")
    print(f"  {sum(bool(row['rules']) for row in healthy)} of {len(healthy)} healthy ones have any")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--no-corpus", action="store_true")
    parser.add_argument("--joined", nargs="+", default=(), metavar="CASE")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--states", type=Path, nargs="+", default=(), metavar="FILE")
    parser.add_argument("--joined-corpus", action="store_true")
    parser.add_argument("--joined-rows", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.joined_corpus:
        rows = joined_corpus_rows()
        report("corpus, confirmed by a run", rows)
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        return
    if arguments.joined:
        rows = joined_rows(arguments.joined)
        leaks = [row for row in rows if row["role"] == "before"]
        right = sum(any(each["about"] for each in row["confirmed"]) for row in leaks)
        fixes = [row for row in rows if row["role"] == "better_fix"]
        wrong = sum(bool(row["confirmed"]) for row in fixes)
        print(f"{right} of {len(leaks)} leaks have a confirmed candidate that is about them")
        print(f"{wrong} of {len(fixes)} better fixes have a confirmed one")
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        return
    rows = catalogue_rows()
    report("catalogue", rows)
    befores = [row for row in rows if row["role"] == "before"]
    seen = sum(bool(row["about"]) for row in befores)
    print(f"  befores: {seen} of {len(befores)} are candidates")
    by_missing = defaultdict(list)
    for row in rows:
        if row["leaks"] and not row["about"]:
            by_missing[row["case"]].append(f"{row['variant']} ({row['role']}) {row['candidates']}")
    for case, names in by_missing.items():
        print(f"  not raised: {case}: {', '.join(names)}")
    if arguments.verbose:
        for row in rows:
            if not row["leaks"] and row["rules"]:
                print(f"  healthy: {row['case']}/{row['variant']}: {row['candidates']}")
    corpus = [] if arguments.no_corpus else corpus_rows()
    if corpus:
        report("corpus", corpus)
        for row in corpus if arguments.verbose else ():
            if bool(row["rules"]) != row["leaks"]:
                print(f"  {row['case']} ({row['variant']}): {row['candidates']}")
    if arguments.write:
        joined = json.loads(arguments.joined_rows.read_text()) if arguments.joined_rows else []
        states = [row for path in arguments.states for row in json.loads(path.read_text())]
        text = json.dumps(stored(rows, corpus, states, joined), indent=1)
        arguments.write.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        result = {"catalogue": rows, "rates": rates(rows)}
        result |= {"corpus": corpus, "corpus_rates": rates(corpus)}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
