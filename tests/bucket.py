"""A bucket on this machine: as much of Google's JSON API as gcsfs and TensorStore ask for.

Objects are kept in memory. Names, generations and ranges behave as there; rights and quotas do not
exist. See https://cloud.google.com/storage/docs/json_api for what each call is.
"""

import base64
import email
import email.policy
import hashlib
import http.server
import itertools
import json
import re
import threading
import urllib.parse
from typing import Any

STAMP = "2026-01-01T00:00:00.000Z"


class Refused(Exception):
    """An answer other than success: status, and why."""


class Bucket(http.server.ThreadingHTTPServer):
    """Serves one bucket, called "bucket", while it is entered.

    Attributes:
      objects: bytes by name.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.generations: dict[str, int] = {}
        self.uploads: dict[str, tuple[str, dict[str, str], bytearray]] = {}
        self.lock = threading.RLock()
        self._count = itertools.count(1)

    def __enter__(self) -> "Bucket":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that is killed is no fault."""

    @property
    def environment(self) -> dict[str, str]:
        """With which a process finds it."""
        url = f"http://127.0.0.1:{self.server_port}"
        return {
            "STORAGE_EMULATOR_HOST": url,
            "TENSORSTORE_GCS_HTTP_URL": url,
            "EPATH_USE_TF": "0",
            "GOOGLE_CLOUD_PROJECT": "none",
            "NO_GCE_CHECK": "true",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    def put(self, name: str, data: bytes, query: dict[str, str]) -> dict[str, Any]:
        with self.lock:
            self.check(name, query)
            self.objects[name], self.generations[name] = bytes(data), next(self._count)
            return self.about(name)

    def take(self, name: str, query: dict[str, str]) -> bytes:
        with self.lock:
            wanted = query.get("generation", self.generations.get(name))
            if name not in self.objects or int(wanted or 0) != self.generations[name]:
                raise Refused(404, f"No such object: {name}")
            self.check(name, query)
            return self.objects[name]

    def check(self, name: str, query: dict[str, str]) -> None:
        now = self.generations[name] if name in self.objects else 0
        if int(query.get("ifGenerationMatch", now)) != now:
            raise Refused(412, "a condition does not hold")
        if int(query.get("ifGenerationNotMatch", -1)) == now:
            raise Refused(304, "")

    def about(self, name: str) -> dict[str, Any]:
        data, generation = self.objects[name], str(self.generations[name])
        return {
            "kind": "storage#object",
            "id": f"bucket/{name}/{generation}",
            "name": name,
            "bucket": "bucket",
            "generation": generation,
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "size": str(len(data)),
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "etag": generation,
            "timeCreated": STAMP,
            "updated": STAMP,
        }

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items, prefixes = [], set()
        with self.lock:
            for name in sorted(self.objects):
                if not name.startswith(prefix) or name < query.get("startOffset", ""):
                    continue
                if query.get("endOffset") and name >= query["endOffset"]:
                    continue
                rest = name[len(prefix) :]
                if delimiter and delimiter in rest:
                    prefixes.add(prefix + rest[: rest.index(delimiter) + 1])
                else:
                    items.append(self.about(name))
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes)}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Bucket

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def answer(self) -> None:
        """Answers any request."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        parts = parts[parts[0] == "download" :]
        try:
            if parts[0] == "upload":
                self.upload(query, data)
            elif parts[:2] == ["storage", "v1"] and parts[2:4] == ["b", "bucket"]:
                self.call(parts[4:], query, data)
            else:
                raise Refused(404, "no such bucket")
        except Refused as refused:
            status, why = refused.args
            self.say({"error": {"code": status, "message": why}}, status)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def call(self, parts: list[str], query: dict[str, str], data: bytes) -> None:
        bucket = self.server
        if not parts:
            self.say({"kind": "storage#bucket", "name": "bucket", "location": "US"})
        elif parts == ["o"]:
            self.say(bucket.list(query))
        elif len(parts) > 2:
            how, target = parts[2], parts[-1]
            made = bucket.put(target, bucket.take(parts[1], {}), query)
            if how == "moveTo":
                del bucket.objects[parts[1]]
            done = {"kind": "storage#rewriteResponse", "done": True, "resource": made}
            self.say(done if how == "rewriteTo" else made)
        elif self.command == "DELETE":
            bucket.take(parts[1], query)
            del bucket.objects[parts[1]]
            self.send(204)
        elif query.get("alt") == "media":
            self.read(parts[1], query)
        else:
            bucket.take(parts[1], query)
            self.say(bucket.about(parts[1]))

    def read(self, name: str, query: dict[str, str]) -> None:
        data = self.server.take(name, query)
        headers = {"X-Goog-Generation": str(self.server.generations[name])}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return self.send(200, data, headers)
        start, stop = int(span[1]), min(int(span[2] or len(data)) + 1, len(data))
        if start >= len(data):
            return self.send(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self.send(206, data[start:stop], headers)

    def upload(self, query: dict[str, str], data: bytes) -> None:
        bucket, kind = self.server, query.get("uploadType")
        if "upload_id" in query:
            self.go_on(query["upload_id"], data)
        elif kind == "media":
            self.say(bucket.put(query["name"], data, query))
        elif kind == "resumable":
            number = str(len(bucket.uploads))
            bucket.uploads[number] = (query["name"], query, bytearray())
            place = f"http://{self.headers['Host']}{self.path}&upload_id={number}"
            self.send(200, b"", {"Location": place})
        else:  # multipart: what it is to be called, and what is in it
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.message_from_bytes(head + data, policy=email.policy.HTTP).get_payload()
            about, content = (part.get_payload(decode=True) for part in parts)  # type: ignore
            self.say(bucket.put(json.loads(about)["name"], content, query))

    def go_on(self, number: str, data: bytes) -> None:
        name, query, held = self.server.uploads[number]
        held += data
        total = self.headers.get("Content-Range", f"/{len(held)}").rpartition("/")[2]
        if total != "*" and int(total) == len(held):
            return self.say(self.server.put(name, bytes(held), query))
        self.send(308, b"", {"Range": f"bytes=0-{len(held) - 1}"})

    def say(self, value: dict[str, Any], status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(data)
