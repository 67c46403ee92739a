"""Marks for targets that call none: each return of a known or named function ends a unit of work.

Requests are labelled by their route, tasks by their name (see marks.mark).

The functions are wrapped when their module is imported, or runs as the main program and has defined
them. Nothing is imported for it.
"""

import sys

from . import marks
from .main_hooks import after_definition
from .route_labels import FRAMEWORKS, label_of
from .unpatched import greenlet_or_thread

# What serves one request, by server. The attribute, where there is one, tells an instance that has
# served a request from one whose connection was closed.
HTTP = (
    ("uvicorn.protocols.http.h11_impl", "RequestResponseCycle.run_asgi", None),
    ("uvicorn.protocols.http.httptools_impl", "RequestResponseCycle.run_asgi", None),
    ("hypercorn.asyncio.task_group", "_handle", None),
    ("hypercorn.trio.task_group", "_handle", None),
    ("gunicorn.workers.sync", "SyncWorker.handle_request", None),
    ("gunicorn.workers.gthread", "ThreadWorker.handle_request", None),
    ("gunicorn.workers.base_async", "AsyncWorker.handle_request", None),
    ("gevent.pywsgi", "WSGIHandler.handle_one_response", None),
    ("eventlet.wsgi", "HttpProtocol.handle_one_response", None),
    ("aiohttp.web_protocol", "RequestHandler._handle_request", None),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi", None),
    ("waitress.task", "WSGITask.execute", None),
    ("cheroot.server", "HTTPRequest.respond", None),
    ("tornado.web", "RequestHandler._execute", None),
    ("wsgiref.handlers", "BaseHandler.run", None),
    ("http.server", "BaseHTTPRequestHandler.handle_one_request", "raw_requestline"),
)
_COROUTINE_FLAG = 0x80

# Compiled under a name of its own, because the wrappers stand in the stacks of everything the
# target allocates; the recorder leaves frames of this name out.
_WRAPPERS = compile(
    """
def wrap(function, enter, leave):
    def call(*args, **kwargs):
        enter()
        try:
            return function(*args, **kwargs)
        finally:
            leave(args)
    return call

def wrap_coroutine(function, enter, leave):
    async def call(*args, **kwargs):
        enter()
        try:
            return await function(*args, **kwargs)
        finally:
            leave(args)
    return call
""",
    "<leaklab>",
    "exec",
)


def install(names):
    """Count marks at the functions ``names`` stand for: "http", "task" or "MODULE:FUNCTION"."""
    watched, of_main = {}, []
    for name in names:
        if name == "http":
            for module, function, attribute in HTTP:
                change = _wrapper_of(function, *_outermost(attribute))
                watched.setdefault(module, []).append(change)
            for module, function, note in FRAMEWORKS:
                watched.setdefault(module, []).append(
                    _wrapper_of(function, _nothing, _safely(note))
                )
        elif name == "task":
            watched.setdefault("celery.signals", []).append(_follow_celery)
        else:
            module, _, function = name.partition(":")
            change = _wrapper_of(function, *_outermost(None, labelled=False))
            watched.setdefault(module, []).append(change)
            of_main.append((module, function, change))
    after_import(watched)
    after_definition(of_main)


def after_import(watched):
    """Call the functions ``watched`` has for a module with it, once it was imported."""
    sys.meta_path.insert(0, _Watcher(watched))


class _Watcher:
    """Lets modules be imported as ever, then applies the changes waiting for them."""

    def __init__(self, watched):
        self._watched = watched

    def find_spec(self, name, path=None, target=None):
        changes = self._watched.get(name)
        if changes is None:
            return None
        spec = None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    break
        if spec is not None and hasattr(spec.loader, "exec_module"):
            _change_after(spec.loader, changes)
        return spec


def _change_after(loader, changes):
    execute = loader.exec_module

    def exec_module(module):
        execute(module)
        for change in changes:
            try:
                change(module)
            except Exception:  # noqa: S112
                # Another version of the library; the target runs on without these marks.
                continue

    if hasattr(loader, "__dict__"):
        loader.exec_module = exec_module


def _wrapper_of(path, enter, leave):
    """Return a function that wraps what ``path`` names in a module; ``leave`` gets the arguments.

    Of coroutines, many run in turns in one thread; their ``of_coroutine`` are called instead, where
    the two have one.
    """

    def change(module):
        *parents, name = path.split(".")
        holder = module
        for parent in parents:
            holder = getattr(holder, parent)
        found = vars(holder).get(name)
        kind = type(found) if isinstance(found, (staticmethod, classmethod)) else None
        function = found.__func__ if kind else getattr(holder, name)
        wrapped = _wrapped(function, enter, leave)
        setattr(holder, name, kind(wrapped) if kind else wrapped)

    return change


def _wrapped(function, enter, leave):
    namespace = {}
    exec(_WRAPPERS, namespace)  # noqa: S102 (our own text, above)
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE_FLAG:
        around = (getattr(each, "of_coroutine", each) for each in (enter, leave))
        call = namespace["wrap_coroutine"](function, *around)
    else:
        call = namespace["wrap"](function, enter, leave)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(function, name):
            setattr(call, name, getattr(function, name))
    call.__dict__.update(getattr(function, "__dict__", {}))
    call.__wrapped__ = function
    return call


_depths: dict = {}
_coroutine_count = 0


def _nothing():
    """Do nothing before a call."""


def _safely(note):
    def leave(args):
        try:
            note(args)
        except Exception:
            pass  # another version of the framework: no label is better than a failed request

    return leave


def _outermost(attribute, labelled=True):
    """Return what to do around a call, so that a server built upon another counts once."""

    def end(args, under_way):
        session = marks._session
        if session is not None:
            session.mark_call(label_of if labelled else _no_label, args, under_way)

    def enter_coroutine():
        global _coroutine_count
        _coroutine_count += 1

    def leave_coroutine(args):
        global _coroutine_count
        _coroutine_count -= 1
        end(args, _coroutine_count + 1)

    def enter():
        mine = greenlet_or_thread()
        _depths[mine] = _depths.get(mine, 0) + 1

    def leave(args):
        mine = greenlet_or_thread()
        depth = _depths.pop(mine, 1) - 1
        if depth:
            _depths[mine] = depth
        elif attribute is None or getattr(args[0], attribute, True):
            end(args, len(_depths) + 1)

    enter.of_coroutine = enter_coroutine
    leave.of_coroutine = leave_coroutine
    return enter, leave


def _no_label(args):
    return None


def _follow_celery(module):
    def ended(sender=None, **details):
        session = marks._session
        if session is not None:
            session.mark(getattr(sender, "name", None), False)

    module.task_postrun.connect(ended, weak=False)
