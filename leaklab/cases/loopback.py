"""A small HTTP server for cases, in a process of its own: its sockets are not the client's.

A target starts it with the standard library alone and reads its address:

    server = subprocess.Popen([sys.executable, "-I", LOOPBACK], stdin=PIPE, stdout=PIPE, text=True)
    url = server.stdout.readline().strip()

It ends by itself when its standard input closes, so a target that is killed leaves nothing behind.
``-I`` keeps a recording's probe out of it. Paths: /bytes/N answers N bytes, /status/N that status,
/slow/SECONDS waits first, anything else a small JSON object; GET and POST, keep-alive.
"""

import asyncio
import os
import signal

REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until the client closes it."""
    try:
        while request := await reader.readline():
            path = request.split()[1].decode()
            length, keep = 0, True
            while (line := await reader.readline()).strip():
                name, _, value = line.decode("latin-1").partition(":")
                if name.lower() == "content-length":
                    length = int(value)
                elif name.lower() == "connection":
                    keep = value.strip().lower() != "close"
            await reader.readexactly(length)
            status, body = await respond(path)
            head = (
                f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
            )
            # One write: a head and a body in two packets meet Nagle and the delayed ACK (40 ms).
            writer.write(head.encode() + body)
            await writer.drain()
            if not keep:
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client went away, as leaking clients do
    finally:
        writer.close()


async def respond(path: str) -> tuple[int, bytes]:
    """Status and body for a path."""
    kind, _, argument = path.strip("/").partition("/")
    if kind == "bytes":
        return 200, b"x" * int(argument)
    if kind == "status":
        return int(argument), b'{"ok": false}'
    if kind == "slow":
        await asyncio.sleep(float(argument))
    return 200, b'{"ok": true}'


async def serve() -> None:
    """Print the address, then serve until standard input closes."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    # Nothing here needs an orderly end, and open connections would only complain about one.
    asyncio.get_running_loop().add_reader(0, lambda: os.read(0, 4096) or os._exit(0))
    await server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the client, whose end is ours
    asyncio.run(serve())
