"""Arguments of a wrong kind, in Python: one line that names the argument and says what to give."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import synthetic as make

import leaklab as ll
from leaklab.errors import UsageError
from leaklab.recorder.options import RecordOptions
from leaklab.results.run import Run

PLOTS = (
    ll.plots.growth, ll.plots.curves, ll.plots.suspects, ll.plots.retention, ll.plots.labels,
    ll.plots.resident_set, ll.plots.allocation_tree, ll.plots.allocation_tree_html,
)  # fmt: skip
OF_ONE_RUN = PLOTS[2:]
LEAK = {"rss_bytes": (range(100), np.linspace(1e6, 9e6, 100))}


def refusal(call):
    with pytest.raises(UsageError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(("given", "message"), [
    ("shop", "a name, no run: shop; open it first: ll.open('shop')"),
    (None, "no run: None; ll.open and ll.record return one"),
    (np.zeros(3), "no run: "),
])  # fmt: skip
def test_every_plot_says_that_it_was_given_no_run(plot, given, message):
    assert refusal(lambda: plot(given)).startswith(message)


@pytest.mark.parametrize("plot", OF_ONE_RUN)
def test_a_plot_of_one_run_says_that_it_was_given_several(plot):
    run = Run(make.run(rss=make.leak(100, 2e4)))
    assert refusal(lambda: plot([run])).startswith("several runs where one is meant: a list; ")


@pytest.mark.parametrize(("call", "message"), [
    (partial(ll.compare, None, None), "no run: None; ll.open and ll.record return one"),
    (partial(ll.open, None), "no name or path of a run: None; give it as a text"),
    (partial(ll.open, 5), "no name or path of a run: 5; "),
    (partial(ll.read, None), "no name or path of a file: None; "),
    (partial(ll.read, "x.csv", values="rss"), "values is a text: 'rss'; give a list: values=['rss"),
    (partial(ll.plots.curves, (), "fd_count"), "names is a text: 'fd_count'; give a list"),
    (partial(ll.audit, ".", command="x.py"), "command is a text: 'x.py'; give a list"),
    (partial(ll.judge_series, range(9), range(9), horizon="30d"),
     "horizon is no number: '30d'; give a number: horizon=2592000"),
    (partial(ll.judge_series, range(9), range(9), unit="iteration", horizon="30d"),
     "horizon is no number: '30d'; give a number"),
    (partial(ll.from_series, LEAK, limit_bytes="2GiB"),
     "limit_bytes is no number: '2GiB'; give a number: limit_bytes=2147483648"),
    (partial(ll.from_series, LEAK, limit_bytes=-5), "limit_bytes out of range: -5; allowed: above"),
    (partial(ll.let_go, np.zeros(3)), "no key: a ndarray; ll.kernel() says what things are called"),
    (partial(ll.record, "x.py", "500"), "args is a text: '500'; give a list: args=['500']"),
    (partial(ll.record, 5), "target is no list: 5; "),
    (partial(ll.record, "x.py", duration_seconds="10s"),
     "duration_seconds is no number: '10s'; give a number: duration_seconds=10"),
    (partial(ll.record, "x.py", env={"A": 1}),
     "env holds no text: A = 1; give env={'A': '1'}"),
    (partial(ll.record, "x.py", env="A=1"), "env is no dict: 'A=1'; give values by name"),
    (partial(ll.record, "x.py", watch_files=[5]), "watch_files holds no text: 5; give '5'"),
    (partial(ll.record, "x.py", native="no"), "native is a text: 'no'; give True or False"),
    (partial(ll.record, "x.py", name=5), "name is no text: 5; give a text"),
])  # fmt: skip
def test_an_argument_of_a_wrong_kind_is_named_with_what_to_give(call, message):
    assert refusal(call).startswith(message)


def test_no_option_that_is_a_list_is_taken_letter_by_letter():
    usual = RecordOptions(command=["x.py"])
    lists = [name for name in vars(usual) if isinstance(getattr(usual, name), list | tuple)]
    assert len(lists) > 4
    for name in lists:
        text = refusal(partial(replace, usual, **{name: "measure"}))
        assert text == f"{name} is a text: 'measure'; give a list: {name}=['measure']"
