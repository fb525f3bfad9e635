"""The smallest client of the API that a bench needs: one request, JSON in and out."""

import json
import urllib.error
import urllib.request


class Api:
    def __init__(self, address, token=None):
        self.address, self.token = address, token

    def ask(self, method, path, body=None, statuses=(200, 204)):
        request = urllib.request.Request(f"{self.address}/v1/{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        if self.token:
            request.add_header("X-Vault-Token", self.token)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        if status not in statuses:
            raise RuntimeError(f"{method} {path}: {status} {text[:300]!r}")
        return json.loads(text) if text else {}
