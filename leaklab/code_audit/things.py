"""What costs a socket, a thread, a connection or a process until it is closed."""

from __future__ import annotations

from dataclasses import dataclass

CLOSING = frozenset(
    {
        "close", "aclose", "dispose", "shutdown", "closeall", "stop", "terminate", "kill",
        "disconnect", "clear", "wait_closed", "release", "cancel", "join", "detach", "quit",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """A kind of resource: what it is, which figures of the process grow with it, what holds it.

    ``wrapped``: an object made of it owns it from then on, as a stream its socket; an engine or
    client that is given to another object stays its maker's.
    """

    kind: str
    resources: tuple[str, ...]
    holders: tuple[str, ...] = ()
    wrapped: bool = False


_CLIENT = Thing("client", ("fd_count", "heap_bytes"))
_SESSION = Thing("session", ("fd_count", "heap_bytes"))
_ENGINE = Thing("engine", ("fd_count", "heap_bytes"))
_POOL = Thing("connection pool", ("fd_count", "heap_bytes"))
_CONNECTION = Thing("connection", ("fd_count", "heap_bytes"))
_EXECUTOR = Thing("executor", ("thread_count", "child_count", "heap_bytes"))
_SOCKET = Thing("socket", ("fd_count",), wrapped=True)
_SCHEDULER = Thing("scheduler", ("thread_count", "heap_bytes"), ("APScheduler",))

THINGS = {
    "httpx.Client": _CLIENT,
    "httpx.AsyncClient": _CLIENT,
    "requests.Session": _SESSION,
    "requests.session": _SESSION,
    "requests.sessions.Session": _SESSION,
    "aiohttp.ClientSession": _SESSION,
    "urllib3.PoolManager": _POOL,
    "http.client.HTTPConnection": _CONNECTION,
    "http.client.HTTPSConnection": _CONNECTION,
    "sqlalchemy.create_engine": _ENGINE,
    "sqlalchemy.engine.create_engine": _ENGINE,
    "sqlalchemy.ext.asyncio.create_async_engine": _ENGINE,
    "sqlalchemy.orm.Session": _SESSION,
    "sqlalchemy.ext.asyncio.AsyncSession": _SESSION,
    "psycopg2.connect": _CONNECTION,
    "psycopg.connect": _CONNECTION,
    "pymysql.connect": _CONNECTION,
    "sqlite3.connect": _CONNECTION,
    "MySQLdb.connect": _CONNECTION,
    "psycopg2.pool.ThreadedConnectionPool": _POOL,
    "psycopg2.pool.SimpleConnectionPool": _POOL,
    "psycopg_pool.ConnectionPool": _POOL,
    "asyncpg.create_pool": _POOL,
    "asyncpg.connect": _CONNECTION,
    "redis.Redis": _CLIENT,
    "redis.StrictRedis": _CLIENT,
    "redis.ConnectionPool": _POOL,
    "redis.asyncio.Redis": _CLIENT,
    "pymongo.MongoClient": _CLIENT,
    "motor.motor_asyncio.AsyncIOMotorClient": _CLIENT,
    "elasticsearch.Elasticsearch": _CLIENT,
    "boto3.client": Thing("client", ("fd_count", "heap_bytes")),
    "googleapiclient.discovery.build": Thing("service client", ("heap_bytes", "fd_count")),
    "grpc.insecure_channel": _CONNECTION,
    "grpc.secure_channel": _CONNECTION,
    "grpc.aio.insecure_channel": _CONNECTION,
    "paramiko.SSHClient": _CLIENT,
    "smtplib.SMTP": _CONNECTION,
    "ftplib.FTP": _CONNECTION,
    "socket.socket": _SOCKET,
    "socket.create_connection": _SOCKET,
    "concurrent.futures.ThreadPoolExecutor": _EXECUTOR,
    "concurrent.futures.ProcessPoolExecutor": _EXECUTOR,
    "multiprocessing.Pool": Thing("process pool", ("child_count", "fd_count")),
    "multiprocessing.pool.ThreadPool": _EXECUTOR,
    "apscheduler.schedulers.background.BackgroundScheduler": _SCHEDULER,
    "apscheduler.schedulers.asyncio.AsyncIOScheduler": _SCHEDULER,
    "urllib.request.build_opener": Thing("opener", ("heap_bytes",)),
    "matplotlib.pyplot.figure": Thing("figure", ("heap_bytes",), ("Gcf.figs",)),
    "matplotlib.pyplot.subplots": Thing("figure", ("heap_bytes",), ("Gcf.figs",)),
    "subprocess.Popen": Thing("process", ("child_count", "fd_count")),
    "selenium.webdriver.Chrome": Thing("browser", ("child_count", "fd_count")),
    "selenium.webdriver.Firefox": Thing("browser", ("child_count", "fd_count")),
}
# Of these a second one is a mistake even when it is closed by its owner in the end: they are made
# to be shared.
SHARED = frozenset({"engine", "connection pool", "executor", "scheduler", "opener"})
