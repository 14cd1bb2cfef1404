import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

import aiohttp
import yarl
from scripted_worker import ScriptedWorker
from serving import Served, logged, run, served

from voicestack.realtime.serve.app import App
from voicestack.realtime.serve.edge import HttpRoute, Request, WsRoute
from voicestack.realtime.serve.failures import RefusedError
from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.settings import Settings
from voicestack.realtime.serve.static_page import StaticPage
from voicestack.realtime.voice import Voice
from voicestack.runtime import InputError

TOKEN = "a-token-of-many-letters"
EVIL = {"Origin": "https://evil.example"}


async def asked(server: Served, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any], Any]:
    """Status, JSON body and headers of an answer."""
    async with server.client.request(method, server.url + path, **options) as answer:
        return answer.status, await answer.json(), answer.headers


@run
async def test_whoever_runs_it_can_ask_how_it_is() -> None:
    """Alive, ready, counted and described."""
    async with served() as server:
        assert (await asked(server, "GET", "/healthz"))[:2] == (200, {"status": "ok"})
        assert (await asked(server, "GET", "/readyz"))[:2] == (200, {"status": "ready"})
        await server.speak()
        async with server.client.get(server.url + "/metrics") as answer:
            text = await answer.text()
        assert 'voicestack_requests_total{outcome="ok",route="/v1/audio/speech",transport="http"} 1.0' in text
        assert "voicestack_ttfa_seconds_count 1.0" in text
        status, described, _ = await asked(server, "GET", "/openapi.json")
        assert status == 200
        assert described["openapi"] == "3.1.0"


@run
async def test_every_http_route_is_described_and_nothing_else() -> None:
    """The description and the routes say the same; the page is for people."""
    async with served() as server:
        described = (await asked(server, "GET", "/openapi.json"))[1]["paths"]
        mounted = [
            (route.method, route.path)
            for route in server.app.routes
            if isinstance(route, HttpRoute) and not route.path.startswith("/page") and route.path != "/"
        ]
        assert sorted(mounted) == sorted(
            (method.upper(), path) for path, methods in described.items() for method in methods
        )


@run
async def test_every_answer_says_what_it_is_and_under_which_id_it_is_logged() -> None:
    """x-request-id and nosniff, also of what is refused."""
    async with served() as server:
        for method, path, status in (
            ("GET", "/healthz", 200),
            ("GET", "/nowhere", 404),
            ("GET", "/v1/audio/speech", 405),
            ("DELETE", "/v1/models", 405),
            ("POST", "/v1/audio/speech", 400),
            ("GET", "/ws", 426),
        ):
            got, told, headers = await asked(server, method, path)
            assert got == status, path
            assert headers["x-request-id"].startswith("req_")
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert status == 200 or set(told) == {"error"}
        assert (await asked(server, "POST", "/readyz"))[2]["Allow"] == "GET,HEAD"


@run
async def test_a_handshake_that_is_none_is_refused() -> None:
    """Whatever stands in the place of its key."""
    async with served() as server:
        asks = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        for key in ("", "short", "\u00e9", "AAAA" * 20):
            headers = {**asks, "Sec-WebSocket-Key": key}
            assert (await asked(server, "GET", "/ws", headers=headers))[0] in (400, 426), key


@run
async def test_a_body_that_is_too_large_or_encoded_is_refused_without_being_kept() -> None:
    """413 and 415, whether its length is told or not."""
    async with served(limits=ServeLimits(body_bytes=1000)) as server:
        data = b"x" * 10_000

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield data[:1000]

        for body in (data, pieces()):
            assert (await asked(server, "POST", "/v1/audio/speech", data=body))[0] == 413
        zipped = {"Content-Encoding": "gzip"}
        assert (await asked(server, "POST", "/v1/audio/speech", data=b"x", headers=zipped))[0] == 415


@run
async def test_a_body_that_does_not_come_is_not_waited_for_forever() -> None:
    """408, and the connection is closed."""
    async with served(limits=ServeLimits(first_s=0.1)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408")
        writer.close()


@run
async def test_what_is_no_http_is_answered_and_hurts_nobody() -> None:
    """A status of 400, or a closed connection; nothing of it in the log."""
    with logged() as lines:
        async with served() as server:
            host, port = server.url.removeprefix("http://").split(":")
            for data in (b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"x" * 20_000):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(data)
                writer.write_eof()
                assert b"500" not in (await reader.read())[:20]
                writer.close()
            assert (await server.speak())[0] == 200
    assert not [line for line in lines.lines if "level=error" in line]


@run
async def test_the_page_is_served_with_headers_that_keep_others_out() -> None:
    """No script and no connection but our own, nobody frames it, and a browser asks only whether it has changed."""
    async with served(policy=Policy(TOKEN)) as server:
        async with server.client.get(server.url + "/") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            policy, etag = answer.headers["Content-Security-Policy"], answer.headers["ETag"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-cache"
        async with server.client.get(server.url + "/", headers={"If-None-Match": f'"x", {etag}'}) as answer:
            assert answer.status == 304
            assert await answer.read() == b""
        async with server.client.head(server.url + "/") as answer:
            assert answer.status == 200
        for path in ("/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/"):
            async with server.client.get(yarl.URL(server.url + path, encoded=True)) as answer:
                assert answer.status == 404, path


def test_files_of_the_page_lie_in_folders_and_have_types(tmp_path: Path) -> None:
    """Whatever has a type that a page needs is served, and nothing else."""
    (tmp_path / "deep").mkdir()
    for name in ("index.html", "deep/app.js", "notes.txt", "app.ts"):
        (tmp_path / name).write_text(name)
    page = StaticPage(tmp_path)
    found = asyncio.run(page.file(Request("GET", "/page/deep/app.js", path_values={"name": "deep/app.js"})))
    assert (found.status, found.body, found.content_type) == (200, b"deep/app.js", "text/javascript; charset=utf-8")
    for name in ("notes.txt", "app.ts", "deep"):
        with pytest.raises(RefusedError, match="no such file"):
            asyncio.run(page.file(Request("GET", f"/page/{name}", path_values={"name": name})))


@run
async def test_the_token_is_taken_in_every_dialects_own_way() -> None:
    """In each header, in the query, as a subprotocol; once as a ticket; and never a wrong one."""
    async with served(policy=Policy(TOKEN)) as server:
        assert (await asked(server, "GET", "/healthz"))[0] == 200
        assert (await asked(server, "GET", "/v1/models"))[0] == 401
        for headers in (
            {"Authorization": f"Bearer {TOKEN}"},
            {"Authorization": f"Token {TOKEN}"},
            {"Authorization": f"bearer  {TOKEN} "},
            {"X-API-Key": TOKEN},
            {"xi-api-key": TOKEN},
        ):
            assert (await asked(server, "GET", "/v1/models", headers=headers))[0] == 200, headers
            wrong = {name: value[:-1] + "X" for name, value in headers.items()}
            assert (await asked(server, "GET", "/v1/models", headers=wrong))[0] == 401
        assert (await asked(server, "GET", f"/v1/models?api_key={TOKEN}"))[0] == 200
        assert (await asked(server, "GET", "/metrics"))[0] == 401
        assert (await asked(server, "POST", "/offer", data=b"{}"))[0] == 401
        status, ticket, _ = await asked(server, "POST", "/ticket", headers={"X-API-Key": TOKEN})
        path = f"/v1/models?ticket={ticket['ticket']}"
        assert (await asked(server, "GET", path))[0] == 200
        assert (await asked(server, "GET", path))[0] == 401


@run
async def test_a_websocket_is_let_in_before_it_is_one() -> None:
    """A refusal is a status of HTTP; a browser's token is a subprotocol, and another one is agreed on."""
    async with served(policy=Policy(TOKEN)) as server:
        wrong: list[dict[str, Any]] = [
            {},
            {"headers": {"X-API-Key": "x" * 20}},
            {"protocols": ["voicestack.token.wrong"]},
        ]
        for options in wrong:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await server.client.ws_connect(server.url + "/ws", **options)
            assert refused.value.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await server.client.ws_connect(server.url + "/ws", headers={"X-API-Key": TOKEN, **EVIL})
        assert refused.value.status == 403
        native = next(route for route in server.app.routes if route.path == "/ws")
        assert isinstance(native, WsRoute)
        offered = (native.protocols[0], f"voicestack.token.{TOKEN}")
        async with server.client.ws_connect(server.url + "/ws", protocols=offered) as socket:
            assert socket.protocol == native.protocols[0]
        async with server.client.ws_connect(server.url + "/v1/speak", protocols=("token", TOKEN)) as socket:
            assert socket.protocol == "token"


@run
async def test_pages_of_others_are_kept_out_unless_they_are_on_the_list() -> None:
    """By Origin, by Host; and CORS for those that may."""
    friend = "https://friend.example"
    async with served(policy=Policy(origins=frozenset({friend}))) as server:
        own = server.url
        assert (await asked(server, "GET", "/v1/models", headers={"Origin": own}))[0] == 200
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[", "x"):
            status, told, headers = await asked(server, "GET", "/v1/models", headers={"Origin": origin})
            assert status == 403, origin
            assert "Access-Control-Allow-Origin" not in headers
        for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80", "a b"):
            assert (await asked(server, "GET", "/healthz", headers={"Host": host}))[0] == 421, host
        for host in ("localhost:99", "127.0.0.1", "[::1]:8765", "friend.example", "192.168.1.5:8765"):
            assert (await asked(server, "GET", "/healthz", headers={"Host": host}))[0] == 200, host
        status, _, headers = await asked(server, "GET", "/v1/models", headers={"Origin": friend})
        assert status == 200
        assert headers["Access-Control-Allow-Origin"] == friend
        preflight = {"Origin": friend, "Access-Control-Request-Method": "POST"}
        async with server.client.options(server.url + "/v1/audio/speech", headers=preflight) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == friend
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        preflight["Origin"] = "https://evil.example"
        async with server.client.options(server.url + "/v1/audio/speech", headers=preflight) as answer:
            assert answer.status == 403


@run
async def test_the_log_tells_of_requests_and_not_of_texts_and_tokens() -> None:
    """One line a request with id, route, outcome and times; healthy probes are passed over."""
    with logged() as lines:
        async with served(policy=Policy(TOKEN), headers={"X-API-Key": TOKEN}) as server:
            await server.speak("secretword")
            await asked(server, "GET", "/healthz")
            await asked(server, "GET", f"/v1/models?api_key={TOKEN}")
            await asked(server, "GET", "/nowhere/secretword/" + "x" * 500)
            await server.speak("secretword", voice="secretword")
    told = lines.of("request")
    assert len(told) == 4
    assert "path=/v1/audio/speech status=200 outcome=ok duration_ms=" in told[0]
    assert "first_byte_ms=" in told[0]
    assert "status=400 outcome=refused reason=invalid_value" in told[3]
    everything = "\n".join(lines.lines)
    assert TOKEN not in everything
    assert everything.count("secretword") == 1  # in the path of an unknown URL, which is not a text to speak
    assert max(map(len, told)) < 400


@run
async def test_what_is_being_spoken_ends_and_nothing_new_begins_while_it_shuts_down() -> None:
    """Ready says no, new requests are refused, the one that goes on is finished; then all is over."""
    worker = ScriptedWorker(step_s=0.01)
    async with served(worker) as server:
        body = {"input": "x" * 60, "response_format": "pcm"}
        async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
            await answer.content.readany()
            server.app.stop()
            assert (await asked(server, "GET", "/healthz"))[0] == 200
            status, told, _ = await asked(server, "GET", "/readyz")
            assert (status, told["status"]) == (503, "draining")
            assert (await server.speak())[0] == 503
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await server.client.ws_connect(server.url + "/ws")
            assert refused.value.status == 503
            await answer.read()
    assert worker.begun[0].made == 60


@run
async def test_what_would_be_spoken_for_ever_is_cut_off_at_shutdown() -> None:
    """After drain_s, with every socket closed as one that goes away."""
    async with served(limits=ServeLimits(drain_s=0.2), queue_s=0.2) as server:
        body = {"input": "x" * 4000, "response_format": "pcm"}
        socket = await server.client.ws_connect(server.url + "/ws")
        async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
            await answer.content.readany()
            server.app.stop()
            async for _ in socket:
                pass
            assert socket.close_code == 1001
            answer.close()


@run
async def test_it_answers_while_the_voice_is_loaded() -> None:
    """Alive and not ready; stopping it then does not wait for a first word."""
    let_go = threading.Event()

    def opened() -> ScriptedWorker:
        let_go.wait(20)
        return ScriptedWorker()

    app = App(Settings(port=0), Voice.load(open_worker=opened))
    running = asyncio.create_task(app.run())
    await app.listening.wait()
    url = f"http://127.0.0.1:{app.port}"
    async with aiohttp.ClientSession() as client:
        for path, status in (("/healthz", 200), ("/readyz", 503), ("/v1/models", 503), ("/metrics", 200)):
            async with client.get(url + path) as answer:
                assert answer.status == status
                assert status == 200 or path == "/readyz" or answer.headers["Retry-After"] == "1"
        let_go.set()
        await app.ready.wait()
        async with client.get(url + "/readyz") as answer:
            assert answer.status == 200
    app.stop()
    await running


@run
async def test_stopped_while_loading_it_ends() -> None:
    """Without an error, and without ever having been ready."""
    let_go = threading.Event()

    def opened() -> ScriptedWorker:
        let_go.wait(20)
        return ScriptedWorker()

    app = App(Settings(port=0), Voice.load(open_worker=opened))
    running = asyncio.create_task(app.run())
    await app.listening.wait()
    threading.Timer(0.1, let_go.set).start()
    app.stop()
    await running
    assert not app.ready.is_set()


@run
async def test_a_port_that_is_taken_is_told_before_the_voice_is_loaded() -> None:
    """With what to do about it."""
    async with served() as server:
        second = App(Settings(port=server.app.port), Voice.load(open_worker=lambda: pytest.fail("loaded")))
        with pytest.raises(InputError, match=f"port {server.app.port} .* is in use.*--port"):
            await second.run()
