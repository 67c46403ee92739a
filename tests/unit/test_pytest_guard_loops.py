"""``--leak-guard`` in async tests: tasks that their loop's end cuts off, and loops themselves."""

from __future__ import annotations

import pytest

LEFT = """
import asyncio, selectors, unittest
import pytest, pytest_asyncio

KEPT = []

async def beat():
    await asyncio.sleep(30)

def test_run():
    async def main():
        KEPT.append(asyncio.create_task(beat()))
    asyncio.run(main())

def test_the_task_and_not_those_that_it_waits_for():
    async def many():
        await asyncio.gather(beat(), beat())
    async def main():
        KEPT.append(asyncio.create_task(many()))
        await asyncio.sleep(0.01)
    asyncio.run(main())

@pytest.mark.asyncio
async def test_pytest_asyncio():
    asyncio.create_task(beat())

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_anyio():
    KEPT.append(asyncio.create_task(beat()))

class TestCase(unittest.IsolatedAsyncioTestCase):
    async def test_unittest(self):
        KEPT.append(asyncio.create_task(beat()))

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide():
    KEPT.append(asyncio.create_task(beat()))

@pytest.mark.asyncio(loop_scope="module")
async def test_one(wide):
    pass

@pytest.mark.asyncio(loop_scope="module")
async def test_two(wide):
    pass

def test_on_purpose(expect_remaining):
    expect_remaining("beat", reason="cut off by the end of the program")
    async def main():
        KEPT.append(asyncio.create_task(beat()))
    asyncio.run(main())

def test_loop():
    KEPT.append(asyncio.new_event_loop())

def test_selector():
    KEPT.append(selectors.DefaultSelector())
"""

FINE = """
import asyncio
import anyio, pytest, pytest_asyncio
from aiohttp import ClientSession, web

pytestmark = pytest.mark.asyncio
KEPT = []

async def beat():
    await asyncio.sleep(30)

async def echo(request):
    one = web.WebSocketResponse(heartbeat=5)
    await one.prepare(request)
    async for message in one:
        await one.send_str(message.data)
    return one

@pytest_asyncio.fixture
async def url():
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield "http://127.0.0.1:%d" % runner.addresses[0][1]
    await runner.cleanup()

async def test_client_and_server(url):
    async with ClientSession() as session, session.ws_connect(url, heartbeat=5) as socket:
        await socket.send_str("a")
        await socket.receive()

async def test_streams():
    async def serve(reader, writer):
        writer.write(await reader.read(3))
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"abc")
    await reader.read(3)
    writer.close()
    server.close()

async def test_cancelled():
    task = asyncio.create_task(beat())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

async def test_cancelled_and_not_waited_for():
    async def waiting():
        await asyncio.wait_for(beat(), 20)
    async def gathering():
        await asyncio.gather(beat(), asyncio.shield(beat()))
    tasks = [asyncio.create_task(waiting()), asyncio.create_task(gathering())]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()

async def test_told_to_end():
    event = asyncio.Event()
    KEPT.append(asyncio.create_task(event.wait()))
    await asyncio.sleep(0)
    event.set()

async def test_groups():
    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(int))

async def test_half_read_generator():
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
    KEPT.append(numbers())
    async for _ in KEPT[-1]:
        break

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def background():
    task = asyncio.create_task(beat())
    yield task
    task.cancel()

@pytest.mark.asyncio(loop_scope="module")
async def test_one(background):
    pass

@pytest.mark.asyncio(loop_scope="module")
async def test_two(background):
    pass

class Client:
    def work(self):
        self.task = asyncio.create_task(beat())

@pytest.fixture(scope="module")
def client():
    return Client()

async def test_what_a_live_fixture_holds(client):
    client.work()

async def test_last():
    pass
"""


def test_what_is_left_is_named_with_the_line_that_made_it(alone: pytest.Pytester) -> None:
    alone.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    alone.makepyfile(test_left=LEFT)
    options = ("-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin")
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0", *options)
    result.assert_outcomes(passed=10, errors=7)
    cut_off = "cancelled by the end of its loop, made at test_left.py:*"
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_run*",
            "leaklab: 1 thing left behind by the test",
            f"  task * of beat, {cut_off} main",
            "      KEPT.append(asyncio.create_task(beat()))",
            '  on purpose? with the fixture expect_remaining: expect_remaining("beat", *)',
            "leaklab: 1 thing left behind by the test",
            f"  task * of *.many, {cut_off} main",
            f"  task * of beat, {cut_off} test_pytest_asyncio",
            f"  task * of beat, {cut_off} test_anyio",
            f"  task * of beat, {cut_off} test_unittest",
            "leaklab: 1 thing left behind by the test",
            "  event loop with descriptors *, *, *, made at test_left.py:* test_loop",
            '  on purpose? with the fixture expect_remaining: expect_remaining("event loop", *)',
            "leaklab: 2 things left behind by the test and its module fixture wide",
            "  descriptor * (anon_inode:?eventpoll?), made at test_left.py:* test_selector",
            f"  task * of beat, {cut_off} wide",
        ]
    )


def test_tasks_that_somebody_ends_are_no_leak(alone: pytest.Pytester) -> None:
    alone.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    alone.makepyfile(test_fine=FINE)
    options = ("--leak-guard-grace=0", "-p", "pytest_asyncio.plugin")
    result = alone.runpytest_subprocess("--leak-guard", *options)
    result.assert_outcomes(passed=11)


OUT_OF_SIGHT = """
import ctypes, os

def pipe():
    assert ctypes.CDLL(None).pipe((ctypes.c_int * 2)()) == 0

def code():
    with open("/proc/self/maps") as maps:
        path = next(line.split()[5] for line in maps if " r-xp " in line and "/libc." in line)
    assert ctypes.CDLL(None).open(path.encode(), os.O_RDONLY) > 0

def test_once_for_the_process():
    pipe()
    code()

def test_anew():
    pipe()
    code()

def test_many():
    pipe()
    pipe()
"""


@pytest.mark.parametrize(("only", "errors"), [("", 2), ("once", 0), ("many", 1)])
def test_what_a_library_opens_once_out_of_sight_is_its_own(
    alone: pytest.Pytester, only: str, errors: int
) -> None:
    alone.makepyfile(test_pipes=OUT_OF_SIGHT)
    result = alone.runpytest_subprocess("--leak-guard", "--leak-guard-grace=0", "-k", only)
    assert result.parseoutcomes().get("errors", result.parseoutcomes().get("error", 0)) == errors
