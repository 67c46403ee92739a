"""The published rates: of the catalogue as it is, and good enough to be worth publishing."""

import leaklab as ll
from leaklab.catalogue.model import catalogue
from leaklab.catalogue.scoreboard import scoreboard
from leaklab.code_audit.rates import audit_rates, measured, raised
from leaklab.code_audit.rules import all_rules


def variants():
    return [
        (case, name, entry)
        for case, found in measured()["cases"].items()
        for name, entry in found.items()
    ]


def test_rates_are_of_the_variants_that_the_catalogue_has():
    known = catalogue()
    for case, name, entry in variants():
        assert known[case].variants[name].role == entry["role"]
    runnable = {case.id for case in known.values() if case.runnable}
    assert {case for case, _, _ in variants()} <= runnable


def test_nine_of_ten_leaks_before_their_fix_are_raised_and_the_rest_has_a_reason():
    before = [(case, entry) for case, _, entry in variants() if entry["role"] == "before"]
    missed = [case for case, entry in before if not entry["about"]]
    assert len(missed) <= len(before) // 10
    assert set(missed) <= set(measured()["not_raised"])


def test_a_run_confirms_leaks_and_no_better_fix():
    joined = [(case, entry) for case, _, entry in variants() if "confirmed" in entry]
    assert joined
    for case, entry in joined:
        assert bool(entry["confirmed"]) == (entry["role"] == "before"), case
        assert entry["confirmed_elsewhere"] == [], case


def test_the_table_has_each_rule_that_spoke_up():
    table = audit_rates()
    assert set(table["source"]) == {"catalogue", "corpus", "corpus, confirmed by a run"}
    assert {rule.id for rule in all_rules()} & set(table["rule"])
    assert table["title"].str.len().min() > 0
    assert table["precision"].between(0, 1).all()
    assert ll.audit_rates().equals(table)


def test_of_the_corpus_a_run_confirms_leaks_only():
    found = measured()["rates"]["corpus, confirmed by a run"]
    assert found["programs"] > 140
    assert found["healthy_raised"] == 0
    assert 0 < found["leaks_raised"] <= measured()["rates"]["corpus"]["leaks_raised"]


def test_the_scoreboard_says_whether_the_audit_would_have_raised_it(tmp_path):
    board = scoreboard(tmp_path)
    by_case = dict(zip(board["case"], board["audit"], strict=True))
    assert by_case["unbounded-cache"] == "LL001 confirmed"
    assert by_case["react-effects"].startswith("not raised: JavaScript")
    assert by_case["double-stop"] == "nothing to raise"
    assert raised("no-such-case") is None
