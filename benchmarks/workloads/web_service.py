"""FastAPI on uvicorn, asked by an httpx client in the same process: a mark every ten requests."""

import sys
import threading
import time

import httpx
import uvicorn
from clock import timed
from fastapi import FastAPI

from leaklab import mark

app = FastAPI()


@app.get("/items/{number}")
def item(number: int) -> dict[str, object]:
    """Answer with a page of rows."""
    return {"number": number, "rows": [{"id": row, "name": f"row {row}"} for row in range(50)]}


def main(iterations):
    """Serve and ask."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client, timed():
        for number in range(iterations):
            client.get(f"/items/{number}").raise_for_status()
            if number % 10 == 0:
                mark()
    server.should_exit = True
    thread.join()


main(int(sys.argv[1]))
