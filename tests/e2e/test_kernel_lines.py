"""Each line that an audit gives, pasted into the next cell: its object goes and no other does."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from kernels import Kernel, started_kernel

BEGIN = """
import leaklab as ll, asyncio, atexit, contextvars, gc, socket, threading, tornado.ioloop, weakref
alive = {}
class Data:
    def __repr__(self):
        return "Data"
def data(name):
    one = Data()
    one.text = [str(number) * 9 for number in range(5_000)]
    alive[name] = weakref.ref(one)
    return one
def closure(name):
    one = data(name)
    def report(*_):
        return one
    return report
def named(name, function):
    function.__qualname__ = name
    return function
"""


@pytest.fixture(scope="module")
def one_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with started_kernel(tmp_path_factory.mktemp("lines")) as kernel:
        yield kernel


@pytest.fixture
def kernel(one_kernel: Kernel) -> Kernel:
    """The kernel, where nothing has a name and there is no result."""
    one_kernel.run("%reset -f")
    assert one_kernel.run(BEGIN).error is None
    return one_kernel


def value(kernel: Kernel, expression: str) -> Any:
    return ast.literal_eval(kernel.run(f"print(repr({expression}))").text.strip().splitlines()[-1])


def lines(kernel: Kernel) -> dict[str, str]:
    reply = kernel.run("audit = ll.kernel(progress=False)\naudit")  # shown: it moves _ on
    assert reply.error is None, reply.error
    found = value(kernel, "{one.key: (one.line, one.bytes) for one in audit.holdings}")
    return {key: line for key, (line, size) in found.items() if size > 200_000}


def gone(kernel: Kernel, line: str) -> set[str]:
    """Paste a line, and return the names of the objects that this has freed."""
    living = "{name for name, one in alive.items() if one() is not None}"
    before = value(kernel, living)
    assert "\n" not in line
    reply = kernel.run(line)
    assert (reply.error, reply.shown) == (None, []), line
    kernel.run("pass")  # the loop's turn: what was cancelled ends, and IPython's last result goes
    return before - value(kernel, living)


def test_a_result_goes_with_all_that_ipython_keeps_of_it_and_no_other_does(kernel: Kernel) -> None:
    for name in ("first", "second", "third", "numberless", "deleted", "nameless"):
        kernel.run(f"data({name!r})")
    last = value(kernel, "max(Out)")
    kernel.run(f"del _{last - 2}, Out[{last - 1}], _{last - 1}, Out[{last}], _{last}")
    kernel.run(f"get_ipython().user_ns_hidden.pop('_{last}');")
    found = lines(kernel)
    assert gone(kernel, found["_, __, ___"]) == {"nameless"}
    assert gone(kernel, found[f"_{last - 1}"]) == {"deleted"}
    assert gone(kernel, found[f"Out[{last - 2}]"]) == {"numberless"}
    assert gone(kernel, found[f"Out[{last - 4}]"]) == {"second"}
    assert gone(kernel, found[f"Out[{last - 3}]"]) == {"third"}
    assert gone(kernel, found[f"Out[{last - 5}]"]) == {"first"}


def test_results_that_share_go_with_one_line_and_names_may_be_of_any_kind(kernel: Kernel) -> None:
    kernel.run("one = data('shared')")
    kernel.run("[one]")
    kernel.run("(one, 1)")
    kernel.run("del one\nglobals()['no name'] = data('odd')\ngc = 'the name of the user'")
    found = lines(kernel)
    shared = next(key for key in found if " + " in key)
    assert gone(kernel, found[shared]) == {"shared"}
    assert gone(kernel, found["no name"]) == {"odd"}


BESIDE = """
stop = threading.Event()
def download(one):
    held = data("local of a thread")
    stop.wait()
threading.Thread(target=download, args=(data("argument of a thread"),), name="fetcher").start()
timer = threading.Timer(100_000, print, [data("timer")])
timer.name = "timer"
timer.start()
del timer
async def poll(name):
    one = data(name)
    await asyncio.sleep(100_000)
asyncio.create_task(poll("task"), name="poller")
bound = asyncio.create_task(poll("bound task"), name="bound poller")
get_ipython().events.register("post_run_cell", named("told", closure("event")))
loop = asyncio.get_running_loop()
loop.call_later(100_000, named("later", closure("call")))
tornado.ioloop.PeriodicCallback(named("often", closure("periodic")), 1e9).start()
pair = socket.socketpair()
loop.add_reader(pair[0], named("heard", closure("reader")))
atexit.register(named("goodbye", closure("exit")))
gc.disable()
one = data("cycle")
one.own = one
del one
"""
FREED = {
    "thread timer: print()": {"timer"},
    "task poller: poll()": {"task"},
    "task bound poller: poll() + bound": {"bound task"},
    "IPython event post_run_cell: told()": {"event"},
    "call on the event loop: later()": {"call"},
    "call on the event loop: often()": {"periodic"},
    "call on the event loop: heard()": {"reader"},
    "atexit: goodbye()": {"exit"},
    "uncollected cycles": {"cycle"},
}


def test_what_goes_on_beside_the_cells_is_named_and_let_go(kernel: Kernel) -> None:
    assert kernel.run(BESIDE).error is None
    kernel.run("pass")  # the tasks begin
    found = lines(kernel)
    assert {key for key in found if key.startswith("thread fetcher")} == {
        "thread fetcher: download()"
    }
    assert found["thread fetcher: download()"] == ""
    freed = {key: gone(kernel, found[key]) for key in FREED}
    assert freed == FREED
    said = kernel.run("ll.let_go('atexit: goodbye()')").error
    assert said is not None
    assert "nothing to let go of: atexit: goodbye(); ask ll.kernel() what there is" in said
    rows = value(kernel, "{one.key: one.bytes for one in audit.holdings}")
    # Both of its objects are its own, as nearly all the bytes of each are.
    assert rows["thread fetcher: download()"] == pytest.approx(
        2 * rows["task poller: poll()"], rel=0.05
    )


def test_a_context_variable_is_named_and_let_go(kernel: Kernel) -> None:
    kernel.run("var = contextvars.ContextVar('request'); var.set(data('context'));")
    assert gone(kernel, lines(kernel)["context variable request"]) == {"context"}


def test_a_traceback_goes_with_the_cycle_that_its_frames_are_in(kernel: Kernel) -> None:
    kernel.run("import gc; gc.disable()")
    kernel.run(
        "def fails():\n"
        "    local = data('local')\n"
        "    try:\n"
        "        raise ValueError\n"
        "    except ValueError as error:\n"
        "        kept = error\n"
        "        raise\n"
        "fails()"
    )
    found = lines(kernel)
    assert gone(kernel, found["traceback"]) == {"local"}
    kernel.run("gc.enable()")
