"""Requests to real servers and frameworks, with marks on http: prints the labels they get."""

import asyncio
import http.client
import importlib
import json
import sys
import threading

sys.path.insert(0, sys.argv[1])  # the probe's own folder, as in a target
hooks = importlib.import_module("probe.hooks")
marks = importlib.import_module("probe.marks")


class Session:
    """Stands for a recording's session: keeps the labels it is told."""

    def __init__(self):
        self.labels = []
        self.told = threading.Condition()

    def mark_call(self, label_of, args, under_way):
        with self.told:
            self.labels.append(label_of(args))
            self.told.notify_all()


SESSION = Session()
marks.attach(SESSION)
hooks.install(["http"])


def ask(port, *paths):
    """Ask for each path; returns the labels that the requests were given."""
    SESSION.labels.clear()
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Connection": "close"})
        connection.getresponse().read()
        connection.close()
    with SESSION.told:  # a mark may come after the answer
        SESSION.told.wait_for(lambda: len(SESSION.labels) >= len(paths), timeout=10)
    return SESSION.labels[:]


def served_by_wsgiref(application, *paths):
    import wsgiref.simple_server

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    server = wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    labels = ask(server.server_port, *paths)
    server.shutdown()
    thread.join()
    server.server_close()
    return labels


def served_by_uvicorn(application, *paths):
    import uvicorn

    config = uvicorn.Config(application, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)

    async def serve():
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        labels = await asyncio.to_thread(ask, port, *paths)
        server.should_exit = True
        await task
        return labels

    return asyncio.run(serve())


def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]


def flask_application():
    import flask

    application = flask.Flask("shop")

    @application.get("/orders/<int:number>")
    def order(number):
        return str(number)

    return application


def fastapi_application():
    from fastapi import APIRouter, FastAPI
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def page(request):
        return PlainTextResponse("page")

    router = APIRouter(prefix="/v1")

    @router.get("/orders/{number}")
    async def order(number: int):
        return number

    application = FastAPI()
    application.include_router(router, prefix="/api")
    inner = Starlette(routes=[Mount("/of/{tenant}", routes=[Route("/page/{name}", page)])])
    application.mount("/pages", inner)
    return application


def django_settings():
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path

    def order(request, number):
        return HttpResponse(str(number))

    settings.configure(
        ALLOWED_HOSTS=["*"], SECRET_KEY="-", ROOT_URLCONF=(path("orders/<int:number>", order),)
    )
    django.setup()


def served_by_aiohttp(*paths):
    from aiohttp import web

    async def order(request):
        return web.Response(text=request.match_info["number"])

    async def serve():
        application = web.Application()
        application.router.add_get("/orders/{number}", order)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        labels = await asyncio.to_thread(ask, port, *paths)
        await runner.cleanup()
        return labels

    return asyncio.run(serve())


def main():
    found = {
        "wsgi": served_by_wsgiref(plain, "/orders/7?secret=1", "/files/0123456789abcdef"),
        "flask": served_by_wsgiref(flask_application(), "/orders/7", "/nothing/7"),
        "fastapi": served_by_uvicorn(
            fastapi_application(), "/api/v1/orders/7", "/pages/of/acme/page/home", "/nothing"
        ),
        "aiohttp": served_by_aiohttp("/orders/7", "/nothing"),
    }
    django_settings()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    found["django"] = served_by_wsgiref(get_wsgi_application(), "/orders/7", "/nothing")
    found["django asgi"] = served_by_uvicorn(get_asgi_application(), "/orders/7")
    print(json.dumps(found))


main()
