"""Growing sites held against leak groups, object by object where whole ones do not agree."""

import pandas as pd
import pytest
import synthetic as s

from leaklab.findings.retention_sites import GroupGrowth, Part, match_growth
from leaklab.findings.site_growth import Line, Site, sites_between

SPAN = 30.0
# Ten dicts with a key each go into a dict an iteration: 64 bytes a dict, 120 its table, 56 a key;
# the dict that holds them grows in steps.
TABLE = 9728 / SPAN
BUCKETS = GroupGrowth(
    1840 + 560 + TABLE,
    (Part(1840, 10, "dict"), Part(560, 10, "str"), Part(TABLE, 0, "dict")),
)


def one_line(rank, rate, count, *, grows=True, gain=None):
    gain = rate * SPAN if gain is None else gain
    return Site(rank, rate, grows, (Line(rate, count, gain),))


def pages(rate, *parts):
    return GroupGrowth(rate, tuple(Part(size, 1, name) for name, size in parts))


def test_memory_from_a_free_list_shows_both_who_allocated_it_and_who_filled_the_holder():
    sites = [
        # The dicts came from a library's free list, all but a few.
        Site(1, 1700, True, (Line(1050, 8.7, 31_500), Line(650, 10.1, 19_500))),
        one_line(2, 566, 10.1, grows=False),
        # The last step was seen some marks before the last dump.
        one_line(3, 9728 / 23, 0.0, grows=False, gain=9728),
    ]
    [match] = match_growth([BUCKETS], sites, SPAN)
    assert match.ranks == (1, 2, 3)
    assert match.confidence == "medium"
    assert "allocated 1,700 + 566 + 423, held 2,724" in match.evidence


def two_workers():
    """The same line in two processes of a role, three times as much of it in the second."""
    runs = [s.run(sites={"keep": s.leak(100, rate)}) for rate in (1000, 3000)]
    tables = {
        name: pd.concat([runs[0].table(name), runs[1].table(name).assign(process=2)])
        for name in ("snapshots", "heap")
    }
    meta = {**runs[0].meta, "processes": [*runs[0].meta["processes"]]}
    meta["processes"].append({**meta["processes"][-1], "process": 2})
    same = {name: runs[0].table(name) for name in ("stacks", "frames")}
    return s.RunData.from_tables(meta, **tables, **same)


@pytest.mark.parametrize(("process", "rate"), [(1, 1000), (2, 3000)])
def test_a_graph_is_held_against_the_heap_of_its_own_process(process, rate):
    [site] = sites_between(two_workers(), (40.0, 100.0), role="main", process=process)
    assert site.rate == pytest.approx(rate)


def test_what_another_holder_keeps_fills_no_gap():
    # By totals alone the larger holder would take the site whose objects the smaller one keeps.
    sessions = pages(1000, ("dict", 600), ("list", 380), ("str", 20))
    watchers = pages(400, ("Watcher", 390), ("method", 10))
    sites = [one_line(1, 600, 1), one_line(2, 390, 1)]
    found = match_growth([sessions, watchers], sites, SPAN)
    assert [match.ranks for match in found] == [(1,), (2,)]


def test_totals_alone_are_a_guess_where_another_holder_has_room_for_the_same():
    one, other = pages(1000, ("dict", 1000)), pages(900, ("Watcher", 900))
    sites = [one_line(1, 700, 0.1), one_line(2, 310, 0.1)]
    assert match_growth([one], sites, SPAN)[0].confidence == "medium"
    match = match_growth([one, other], sites, SPAN)[0]
    assert (match.ranks, match.confidence) == ((1, 2), "low")


def test_what_was_allocated_elsewhere_does_not_hide_who_made_the_rest():
    sites = [one_line(1, 566, 10.1, grows=False), one_line(2, TABLE, 0.1, grows=False)]
    [match] = match_growth([BUCKETS], sites, SPAN)
    assert match.ranks == (1, 2)
    assert match.confidence == "low"
    assert "560 of 566 + 324 of 324, held 2,724" in match.evidence


def test_a_small_site_that_fits_no_object_fills_no_gap():
    sites = [one_line(1, 1840, 20), one_line(2, 884, 3, grows=False)]
    [match] = match_growth([BUCKETS], sites, SPAN)
    assert 2 not in match.ranks


def test_blocks_of_the_sizes_that_dicts_are_made_of_complete_what_others_made():
    history = GroupGrowth(1470, (Part(1200, 1, "Sample"), Part(184, 1, "dict"), Part(86, 1, "str")))
    most, table, own = one_line(1, 1286, 2), one_line(2, 116, 0.97, grows=False), (64, 0.9)
    found = [
        match_growth([history], [most, table, one_line(3, size * count, count, grows=False)], SPAN)
        for size, count in (own, (80, 0.9), (64, 3.0))
    ]
    # 120 bytes are the table of a dict of 184, 64 the dict itself; it has no third of either.
    assert [match.ranks for (match,) in found] == [(1, 2, 3), (1, 2), (1, 2)]


def test_a_small_site_that_gains_what_the_holder_does_is_named():
    group = GroupGrowth(95, (Part(88, 1, "socket.socket"), Part(7, 0, "list")))
    [match] = match_growth([group], [one_line(1, 95, 1, grows=False)], SPAN)
    assert match.ranks == (1,)
    assert match.confidence == "medium"


def test_a_site_that_leads_away_from_what_is_held_is_not_added():
    group = pages(1000, ("Page", 1000))
    [match] = match_growth([group], [one_line(1, 980, 1), one_line(2, 45, 1)], SPAN)
    assert match.ranks == (1,)


def test_one_line_that_calls_others_makes_what_several_holders_keep():
    sessions = pages(1000, ("Session", 600), ("Jar", 400))
    pools = pages(700, ("Pool", 500), ("Queue", 200))
    lines = tuple(Line(rate, 2, rate * SPAN) for rate in (600, 500, 400, 8000))
    found = match_growth([sessions, pools], [Site(1, 9500, True, lines)], SPAN)
    assert [match.ranks for match in found] == [(1,), (1,)]
    assert [match.confidence for match in found] == ["medium", "medium"]
    assert "1,000 of 9,500" in found[0].evidence
    # What no object accounts for is told with the holder that gains most.
    assert "8,000 besides: more than its objects take" in found[0].evidence
    assert "500 of 9,500" in found[1].evidence
    assert "more than" not in found[1].evidence


def test_nothing_is_left_over_of_a_site_whose_lines_are_all_explained():
    sessions = pages(1000, ("Session", 600), ("Jar", 400))
    pools = pages(700, ("Pool", 500), ("Queue", 200))
    lines = tuple(Line(rate, 2, rate * SPAN) for rate in (600, 500, 400, 200))
    found = match_growth([sessions, pools], [Site(1, 1700, True, lines)], SPAN)
    assert [match.ranks for match in found] == [(1,), (1,)]
    assert "besides" not in found[0].evidence


def test_a_line_makes_what_one_holder_keeps():
    group = pages(600, ("Session", 600))
    site = Site(1, 5000, True, (Line(600, 2, 600 * SPAN), Line(4400, 2, 4400 * SPAN)))
    first, second = match_growth([group, group], [site], SPAN)
    assert first.ranks == (1,)
    assert second.ranks == ()


def test_an_object_takes_an_allocation():
    group = pages(1000, ("Page", 600), ("Body", 400))
    rest = Line(4400, 1, 4400 * SPAN)
    few = Site(1, 5000, False, (Line(600, 0.5, 600 * SPAN), rest))
    enough = Site(1, 5000, False, (Line(600, 1, 600 * SPAN), rest))
    assert match_growth([group], [few], SPAN)[0].ranks == ()
    assert match_growth([group], [enough], SPAN)[0].ranks == (1,)


def test_sites_that_explain_the_same_are_all_named_as_a_guess():
    group = pages(1000, ("Page", 600), ("Body", 400))
    sites = [
        Site(rank, 5000, False, (Line(600, 1, 600 * SPAN), Line(4400, 1, 4400 * SPAN)))
        for rank in (1, 2)
    ]
    [match] = match_growth([group], sites, SPAN)
    assert match.ranks == (1, 2)
    assert match.confidence == "low"
    assert "each of them may have made" in match.evidence


def test_sites_and_holders_that_would_fit_as_well_are_counted():
    group = pages(1000, ("Page", 1000))
    sites = [one_line(rank, 1000, 1) for rank in (1, 2)]
    match = match_growth([group, group], sites, SPAN)[0]
    assert match.confidence == "medium"
    assert match.evidence.endswith("and so may 1 other holder and 1 other site")


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        # Path nodes of one type, made by one line of its constructor.
        ((Part(100, 1, "Lock"), Part(100, 1, "Lock"), Part(100, 1, "Lock"), Part(90, 1, "a")), 300),
        # An object and what hangs on it.
        ((Part(180, 1, "Node"), Part(120, 1, "list"), Part(90, 1, "a")), 300),
    ],
)
def test_a_line_makes_objects_of_several_path_nodes(parts, line):
    group = GroupGrowth(sum(part.rate for part in parts), parts)
    site = Site(1, 5000, False, (Line(line, 4, line * SPAN), Line(4700, 1, 4700 * SPAN)))
    [match] = match_growth([group], [site], SPAN)
    assert match.ranks == (1,)
    assert match.confidence == "medium"


@pytest.mark.parametrize(("blocks", "ranks"), [(3, [(), (1,), ()]), (7, [(), (), ()])])
def test_native_memory_is_of_the_objects_that_it_has_blocks_for(blocks, ranks):
    # No holder leads. Three blocks a unit are two for each stream, and no whole number for another;
    # seven are none for any.
    groups = [
        GroupGrowth(400, (Part(400, 2, "dict"),)),
        GroupGrowth(60, (Part(60, 1.5, "zlib.Compress"),)),
        GroupGrowth(370, (Part(370, 5, "tuple"),)),
    ]
    matches = match_growth(groups, [one_line(1, 9000, blocks)], SPAN)
    assert [match.ranks for match in matches] == ranks
    assert all(match.confidence in (None, "low") for match in matches)


@pytest.mark.parametrize(
    ("kind", "count", "rate", "ranks"),
    [
        # A list of buffers that happened to be longer: they have no memory but what Python tells.
        ("bytearray", 2, 11_000, ()),
        # Much of it may be theirs: the graphs were taken at other moments.
        ("bytearray", 2, 60_000, (1,)),
        # A number may be a native pointer, an object of an extension may own native memory.
        ("int", 2, 11_000, (1,)),
        ("zlib.Compress", 2, 11_000, (1,)),
        # A table that grows in place may be one of pointers.
        ("list", 0, 11_000, (1,)),
        # A name for each block is how native handles are kept.
        ("str", 25, 11_000, (1,)),
    ],
)
def test_text_and_bytes_keep_no_native_memory(kind, count, rate, ranks):
    group = GroupGrowth(rate, (Part(rate, count, kind),))
    [match] = match_growth([group], [one_line(1, 147_000, 25)], SPAN)
    assert match.ranks == ranks
    assert match.confidence in (None, "low")
