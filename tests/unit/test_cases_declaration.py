"""case.toml: what is read, and that every mistake in it is named by file and key."""

import codecs
import sys
from pathlib import Path

import pytest

from leaklab.catalogue.expressions import evaluate
from leaklab.catalogue.harness import case_arguments
from leaklab.catalogue.model import FOLDER, case, read_case
from leaklab.catalogue.parameters import Parameter
from leaklab.catalogue.recording import target_arguments
from leaklab.catalogue.requirements import missing_requirement, python_matches
from leaklab.errors import LeaklabError, UsageError

GOOD = """\
title = "A list that grows"
mechanism = "unbounded-caches"

[[claims]]
document = "001"
section = "Root causes 1"
text = "It grows."
verdict = "right"
why = "It does."

[parameters.iterations]
default = 200
quick = 80
type = "int"
minimum = 10
maximum = 1000
help = "requests"

[parameters.payload_bytes]
default = 100
type = "int"
help = "size of one"

[variants.before]
role = "before"
summary = "nothing leaves"
environment = { PYTHONMALLOC = "malloc" }
[variants.before.expect]
verdict = "leak"
suspect = "build"
[variants.before.expect.resources.heap_bytes]
verdict = "leak"
rate = "payload_bytes + 50"
tolerance = 0.1
python = ">=3.12,<3.14"
"""


def another(name: str) -> str:
    return f'[variants.{name}]\nrole = "control"\nsummary = "one more"\n\n[variants.before]'


def written(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "growing-list"
    folder.mkdir(exist_ok=True)
    (folder / "case.toml").write_text(text)
    (folder / "target.py").write_text("")
    return folder


def test_a_declaration_becomes_typed_values(tmp_path: Path) -> None:
    case = read_case(written(tmp_path, GOOD))

    assert (case.id, case.title, case.runnable) == ("growing-list", "A list that grows", True)
    assert case.claims[0].verdict == "right"
    assert case.values({}) == {"iterations": 200, "payload_bytes": 100}
    assert case.values({"iterations": "50"}, quick=True) == {"iterations": 50, "payload_bytes": 100}
    assert case.values({}, quick=True)["iterations"] == 80
    variant = case.variant("before")
    assert variant.environment == {"PYTHONMALLOC": "malloc"}
    heap = variant.expectation.resources["heap_bytes"]
    assert (heap.rate, heap.tolerance, heap.python) == ("payload_bytes + 50", 0.1, ">=3.12,<3.14")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('title = "A', 'titel = "A', "title: is missing"),
        ('mechanism = "unbounded-caches"', "mechanism = 3", "mechanism: ill-typed value 3"),
        ('mechanism = "un', 'colour = "red"\nmechanism = "un', "colour: unknown key"),
        ("[[claims]]", "[claims]", "claims: ill-typed value {'document'"),
        ('document = "001"', 'document = "009"', "claims.1.document: unknown value '009'"),
        ('verdict = "right"', 'verdict = "true"', "claims.1.verdict: unknown value 'true'"),
        ('type = "int"\nminimum', 'type = "integer"\nminimum', "parameters.iterations.type"),
        ("default = 200", 'default = "200"', "iterations: '200'; allowed is int in 10..1000"),
        ("default = 200", "default = true", "iterations: True; allowed is int in 10..1000"),
        ("quick = 80", "quick = 8", "parameters.iterations: the quick value of parameter it"),
        ('help = "requests"', 'hint = "requests"', "parameters.iterations.help: is missing"),
        ('role = "before"', 'role = "after"', "variants.before.role: unknown value 'after'"),
        ('PYTHONMALLOC = "malloc"', "PYTHONMALLOC = 1", "environment.PYTHONMALLOC: ill-typed"),
        ("[variants.before.expect]", "[variants.before.expected]", "before.expected: unknown key"),
        ('suspect = "build"', "suspect = ['build']", "expect.suspect: ill-typed"),
        ('rate = "payload_bytes + 50"', 'rate = "payload + 50"', "heap_bytes.rate: bad expression"),
        ('rate = "payload_bytes + 50"', "rate = [1]", "heap_bytes.rate: ill-typed"),
        ("tolerance = 0.1", "tolerance = 10", "heap_bytes.tolerance: value not allowed 10"),
        ("tolerance = 0.1", 'tolerance = "0.1"', "heap_bytes.tolerance: ill-typed"),
        ('python = ">=3.12,<3.14"', 'python = "3.12+"', "heap_bytes.python: not a version range"),
        ("title", "title = 1 = 2", "cannot be read"),
        ("title", 'id = "x"\ntitle', "unknown key id"),
        ("quick = 80", 'name = "x"', "parameters: unknown key name"),
        ("resources.heap_bytes", "resources.heap_byts", "heap_byts: unknown resource: heap_byts"),
        ("resources.heap_bytes", "resources.uss_bytes", "uss_bytes: gets no verdict: uss_bytes"),
        ("resources.heap_bytes", 'resources."gauge:"', "unknown resource: gauge:; allowed"),
        ("resources.heap_bytes", 'resources."file_bytes:x"', "is none of the watch_files: none"),
        ("[variants.before]", another("'fi/x'"), "variants.fi/x: no name; letters"),
        ("[variants.before]", another("default"), "variants.default: is what no variant is"),
        ("parameters.iterations", 'parameters."slow-ms"', "parameters.slow-ms: no name; letters"),
        ("parameters.iterations", "parameters.class", "parameters.class: no name; letters"),
        *(
            ("parameters.iterations", f"parameters.{name}", f"parameters.{name}: means something")
            for name in ("variant", "quick", "fresh", "store", "self", "help")
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in GOOD
    with pytest.raises(LeaklabError) as error:
        read_case(written(tmp_path, GOOD.replace(old, new, 1)))

    assert str(error.value).startswith("growing-list/case.toml: ")
    assert key in str(error.value)
    assert "\n" not in str(error.value)


def test_variants_need_a_target(tmp_path: Path) -> None:
    folder = written(tmp_path, GOOD)
    (folder / "target.py").unlink()
    with pytest.raises(LeaklabError, match=r"variants: are declared without a target\.py"):
        read_case(folder)


def test_claims_alone_are_a_case_that_cannot_run(tmp_path: Path) -> None:
    folder = written(tmp_path, GOOD.split("[variants")[0])
    (folder / "target.py").unlink()
    case = read_case(folder)
    assert not case.runnable
    assert case.missing() == "cannot be reproduced in code: see its claims"


def test_unknown_case_variant_and_parameter_say_what_there_is() -> None:
    with pytest.raises(UsageError, match="unknown case: unbounded-cash; did you mean unbounded-ca"):
        case("unbounded-cash")
    with pytest.raises(UsageError, match=r"unknown case: \.\./cases/http-clients"):
        case("../cases/http-clients")
    known = case("unbounded-cache")
    with pytest.raises(UsageError, match="unknown variant of unbounded-cache: after; allowed: bef"):
        known.record("after")
    with pytest.raises(UsageError, match="unknown parameter of unbounded-cache: iteration; allowe"):
        known.record("before", iteration=3)
    with pytest.raises(UsageError, match="parameter iterations: 'many'; allowed is int in 100"):
        known.record("before", iterations="many")
    with pytest.raises(UsageError, match="parameter iterations: 3; allowed is int in 100"):
        known.record("before", iterations=3)


def parameter(kind: str) -> Parameter:
    default = {"int": 0, "float": 0.0, "bool": False, "str": ""}[kind]
    return Parameter.model_validate({"name": "p", "type": kind, "default": default, "help": ""})


@pytest.mark.parametrize(
    ("kind", "value", "parsed"),
    [
        ("int", "7", 7), ("int", 7, 7), ("float", 7, 7.0), ("float", "7.5", 7.5),
        ("bool", "true", True), ("bool", False, False), ("str", "x", "x"),
    ],
)  # fmt: skip
def test_values_are_parsed_by_type(kind: str, value: object, parsed: object) -> None:
    assert parameter(kind).value(value) == parsed


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", "7.5"), ("int", 7.5), ("int", True), ("bool", "so"), ("bool", 1), ("float", None)],
)
def test_ill_typed_values_are_refused(kind: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"parameter p: {value!r}; allowed is"):
        parameter(kind).value(value)


@pytest.mark.parametrize(
    ("kind", "default", "given", "value"),
    [
        ("bool", False, None, False), ("bool", True, None, True), ("bool", True, "no", False),
        ("bool", False, "yes", True), ("str", "", "--all", "--all"), ("str", "", "False", "False"),
        ("int", 1, "-7", -7), ("float", 1.0, "-1e-05", -1e-05), ("float", 1.0, 2, 2.0),
    ],
)  # fmt: skip
def test_a_target_reads_the_values_that_are_sent(
    tmp_path: Path, kind: str, default: object, given: object, value: object
) -> None:
    stated = str(default).lower() if kind == "bool" else repr(default)
    table = f'type = "{kind}"\ndefault = {stated}\nhelp = "50 % of it"'
    text = GOOD.replace("[variants.before]", f"[parameters.big_one]\n{table}\n\n[variants.before]")
    one = read_case(written(tmp_path, text))
    values = one.values({} if given is None else {"big_one": given})
    assert repr(values["big_one"]) == repr(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(one.target), *target_arguments("before", values)])
        read = vars(case_arguments(str(one.target)))

    assert {name: repr(found) for name, found in read.items()} == {
        name: repr(sent) for name, sent in {**values, "variant": "before"}.items()
    }


def test_a_case_may_have_no_parameters_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    head, tail = GOOD.split("[parameters.iterations]")[0], GOOD[GOOD.index("[variants.before]") :]
    folder = written(tmp_path, head + tail.replace('rate = "payload_bytes + 50"', "rate = 50"))
    toml = folder / "case.toml"
    toml.write_bytes(codecs.BOM_UTF8 + toml.read_bytes())

    assert read_case(folder).variants
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(folder / "target.py"), "before"])
        assert vars(case_arguments(str(folder / "target.py"))) == {"variant": "before"}


def test_rates_are_arithmetic_over_parameters() -> None:
    values = {"users": 50, "name": "x", "flag": True}
    assert evaluate(3, values) == 3
    assert evaluate("17 * users", values) == 850
    assert evaluate("-(users + 10) / 4 - 1", values) == -16


@pytest.mark.parametrize(
    "expression",
    ["users ** 9", "__import__('os')", "user", "users.real", "name + 1", "flag + 1", "1 /", "1 / 0",
     "users if 1 else 2", "[1]", "'a'", "True"],
)  # fmt: skip
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(LeaklabError, match="bad expression"):
        evaluate(expression, {"users": 50, "name": "x", "flag": True})


def test_what_is_missing_is_said_with_the_way_out() -> None:
    assert missing_requirement(["json", "email.message"], [], ">=3.11") is None
    assert "json_of_tomorrow, no.such.module; pip install" in str(
        missing_requirement(["json", "json_of_tomorrow", "no.such.module"], [], None)
    )
    assert str(missing_requirement([], [], ">=3.99")).startswith("needs Python >=3.99: this is 3.")


def test_python_ranges_compare_numbers() -> None:
    assert python_matches(">=3.9,<3.12", (3, 11, 7))
    assert not python_matches(">=3.12", (3, 11, 7))
    assert python_matches("==3.11.*", (3, 11, 7))


def test_every_declaration_can_be_read() -> None:
    # One by one: a folder that is being written must not hide the others.
    assert {read_case(path.parent).id for path in FOLDER.glob("*/case.toml")}


def test_quick_leaves_the_conditions_out_unless_the_case_is_told_through_them(
    tmp_path: Path,
) -> None:
    more = GOOD + '\n[variants.other]\nrole = "condition"\nsummary = "another way"\n'
    case = read_case(written(tmp_path, more))
    assert case.variants_for(quick=True) == ["before"]
    assert case.variants_for(quick=False) == ["before", "other"]
    whole = more.replace("mechanism", "whole_when_quick = true\nmechanism", 1)
    assert read_case(written(tmp_path, whole)).variants_for(quick=True) == ["before", "other"]
