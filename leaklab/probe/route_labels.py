"""What a request is called: its method and the template of its route, never its values.

Only what a framework has already worked out is read: from the request or scope that it leaves
behind, after the request. Where there is no framework, the path without what looks like a value.
"""

import re
import sys

from .unpatched import greenlet_or_thread

NO_ROUTE = "(no route)"
VALUE = "{}"
# What was noted and never fetched: the server is none of those whose requests are counted.
MOST_NOTED = 1024
_VALUE = re.compile(r"\d+|[0-9a-fA-F-]{8,}|.{40,}")

# By thread or greenlet; of what runs in turns in one thread, by the scope of the request.
_noted: dict = {}


def label_of(args):
    """Return the label of the request that a server's function was called for; None unknown."""
    try:
        noted = _noted.pop(greenlet_or_thread(), None) if _noted else None
        return noted or _of_scope(args) or _of_match(args) or _of_server(args)
    except Exception:
        return None  # another version of the library: the mark counts without a label


def _of_scope(args):
    """Of an ASGI server: by the route that Starlette or FastAPI has put into the scope."""
    scope = getattr(args[0], "scope", None)
    if type(scope) is not dict or "path" not in scope:
        return None
    noted = _noted.pop(id(scope), None) if _noted else None
    if noted is not None:
        return noted
    method = scope.get("method", "")
    route = scope.get("route") or _route_by_endpoint(scope)
    if route is not None:
        return method + " " + _template(route, scope)
    return method + " " + (NO_ROUTE if "router" in scope else _without_values(scope["path"]))


def _route_by_endpoint(scope):
    """Return the route of a scope from before Starlette named it there."""
    endpoint, left = scope.get("endpoint"), [scope.get("router")]
    while endpoint is not None and left:
        for route in getattr(left.pop(), "routes", None) or ():
            if getattr(route, "endpoint", None) is endpoint:
                return route
            left.append(route)
    return None


def _template(route, scope):
    """Return a route's template with those of what it is mounted on or included by.

    A route knows its own part only; what comes before it is what its pattern leaves of the path.
    """
    template, pattern = route.path, getattr(route, "path_regex", None)
    prefix, rest = "", scope["path"]
    while pattern is not None and rest and not pattern.match(rest):
        segment, slash, after = rest[1:].partition("/")
        prefix, rest = prefix + "/" + segment, slash + after
    if not rest:
        return template
    values = {str(value): name for name, value in (scope.get("path_params") or {}).items()}
    parts = ["{%s}" % values[part] if part in values else part for part in prefix.split("/")]
    return "/".join(parts) + template


def _of_match(args):
    """Of aiohttp: by the resource that the request was matched to."""
    match = getattr(args[1], "_match_info", None) if len(args) > 1 else None
    if match is None:
        return None
    resource = match.route.resource
    return args[1].method + " " + (NO_ROUTE if resource is None else resource.canonical)


def _of_server(args):
    """Of a server with no framework that is known, or none: the path of the request itself."""
    server = args[0]
    request = getattr(server, "request", None)
    if hasattr(server, "path_kwargs"):
        return request.method + " " + type(server).__name__  # a handler of tornado is a route
    for found in (*args[:3], request, getattr(server, "request_handler", None)):
        method = getattr(found, "method", None) or getattr(found, "command", None)
        path = getattr(found, "path", None)
        if method and path:
            return _text(method) + " " + _without_values(_text(path))
    environ = getattr(server, "environ", None) or {}
    if "PATH_INFO" in environ:
        return environ["REQUEST_METHOD"] + " " + _without_values(environ["PATH_INFO"])
    return None


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _without_values(path):
    parts = path.partition("?")[0].split("/")
    return "/".join([VALUE if _VALUE.fullmatch(part) else part for part in parts])


def note_flask(args):
    """Note the rule of the request that Flask has just answered, while it is still its own."""
    request = sys.modules["flask.globals"].request
    rule = request.url_rule
    _note(greenlet_or_thread(), request.method, None if rule is None else rule.rule)


def note_django(args):
    """Note the route of a request that Django has answered: ``get_response(self, request)``."""
    request = args[1]
    match = getattr(request, "resolver_match", None)
    scope = getattr(request, "scope", None)
    key = greenlet_or_thread() if scope is None else id(scope)
    _note(key, request.method, None if match is None else "/" + match.route)


def _note(key, method, template):
    if len(_noted) >= MOST_NOTED:
        _noted.clear()
    _noted[key] = method + " " + (NO_ROUTE if template is None else template)


# Function by function of a framework: what to do with its arguments once it has returned.
FRAMEWORKS = (
    ("flask.app", "Flask.full_dispatch_request", note_flask),
    ("django.core.handlers.base", "BaseHandler.get_response", note_django),
    ("django.core.handlers.base", "BaseHandler.get_response_async", note_django),
)
