# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an OpenAI-compatible endpoint on this machine, as good or as bad as a test wants it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chat(content):
    """The reply of an endpoint whose model says `content`."""
    said = content if isinstance(content, str) else json.dumps(content)
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}).encode()


@contextmanager
def server(reply):
    """A stand-in endpoint: `reply` writes to the handler of each POST. Yields its URL and the requests,
    (path, headers, body)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, dict(self.headers), json.loads(body)))
            try:
                reply(self)
            except OSError:  # the client has gone, as it should where it waits no longer
                self.close_connection = True

        do_GET = do_POST

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", asked
    finally:
        httpd.shutdown()
        httpd.socket.close()


def replying(body, status=200, **headers):
    def reply(handler):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply
