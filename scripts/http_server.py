"""The service's application on a free port of this machine, in a thread, for benches and pictures."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.bootstrap import Services
from service.web import server
from service.web.app import create_app


@contextmanager
def served(services: Services) -> Iterator[int]:
    """Serve until the end of the block; yields the port once it answers."""
    with server.bind("127.0.0.1", 0) as listener:
        ready = threading.Event()
        app = create_app(services)
        uvicorn = server.server_of(app, on_ready=ready.set, on_end=app.state.streams.close)
        thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [listener]})
        thread.start()
        ready.wait()
        try:
            yield int(listener.getsockname()[1])
        finally:
            uvicorn.should_exit = True
            thread.join()
