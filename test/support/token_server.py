#!/usr/bin/env python3
"""A token server for registry tests: what a registry's 401 points at.

    token_server.py HOST:PORT TLS_DIR USER PASSWORD

GET /token?service=S&scope=repository:NAME:pull[&scope=...] answers a JWT that
docker-registry accepts (ES256, certificate in the header). Without
credentials only "pull" of "public/..." is granted; the user gets what was
asked for; a wrong password gets 401. POST, the OAuth2 form, knows the password
and the refresh_token grants. Everything else is 404.
"""
import base64
import http.server
import json
import secrets
import ssl
import subprocess
import sys
import time
import urllib.parse

ADDRESS, TLS, USER, PASSWORD = sys.argv[1:5]
SERVICE, ISSUER, LIFETIME = "berth-registry", "berth-tokens", 300
refresh_tokens = set()


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate():
    with open(TLS + "/server.crt", encoding="ascii") as pem:
        return base64.b64encode(ssl.PEM_cert_to_DER_cert(pem.read())).decode()


def signature(text):
    """openssl's DER pair of integers, as the 64 bytes that JWS wants."""
    der = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", TLS + "/server.key"],
        input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    numbers, at = [], 2
    while len(numbers) < 2:
        length = der[at + 1]
        number = der[at + 2:at + 2 + length].lstrip(b"\0")
        numbers.append(number.rjust(32, b"\0"))
        at += 2 + length
    return b"".join(numbers)


def allowed(subject, scope):
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    wanted = [a for a in actions.split(",") if a]
    if not subject:
        public = name.startswith("public/")
        wanted = [a for a in wanted if public and a == "pull"]
    return {"type": kind, "name": name, "actions": wanted}


def token(subject, scopes):
    now = int(time.time())
    access = [allowed(subject, s) for s in scopes if s.count(":") >= 2]
    header = {"typ": "JWT", "alg": "ES256", "x5c": [certificate()]}
    claims = {"iss": ISSUER, "sub": subject, "aud": SERVICE, "iat": now,
              "nbf": now - 10, "exp": now + LIFETIME,
              "jti": secrets.token_hex(8),
              "access": [a for a in access if a["actions"]]}
    text = ".".join(encode(json.dumps(p).encode()) for p in (header, claims))
    return text + "." + encode(signature(text))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def grant(self, subject, scopes, offline):
        text = token(subject, scopes)
        body = {"token": text, "access_token": text, "expires_in": LIFETIME,
                "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if offline and subject:
            body["refresh_token"] = secrets.token_hex(16)
            refresh_tokens.add(body["refresh_token"])
        self.answer(200, body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path != "/token":
            return self.answer(404, {})
        query = urllib.parse.parse_qs(url.query)
        subject, header = "", self.headers.get("Authorization", "")
        if header.startswith("Basic "):
            pair = base64.b64decode(header[6:]).decode()
            subject, _, password = pair.partition(":")
            if (subject, password) != (USER, PASSWORD):
                return self.answer(401, {"details": "wrong password"})
        scopes = [s for v in query.get("scope", []) for s in v.split()]
        offline = query.get("offline_token", [""])[0] == "true"
        return self.grant(subject, scopes, offline)

    def do_POST(self):
        if self.path != "/token":
            return self.answer(404, {})
        length = min(int(self.headers.get("Content-Length", "0")), 1 << 16)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        one = {k: v[0] for k, v in form.items()}
        kind = one.get("grant_type")
        by_password = kind == "password" and (
            one.get("username"), one.get("password")) == (USER, PASSWORD)
        by_refresh = (kind == "refresh_token"
                      and one.get("refresh_token") in refresh_tokens)
        if not by_password and not by_refresh:
            return self.answer(401, {"error": "invalid_grant"})
        offline = one.get("access_type") == "offline"
        return self.grant(USER, one.get("scope", "").split(), offline)


def main():
    host, _, port = ADDRESS.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
