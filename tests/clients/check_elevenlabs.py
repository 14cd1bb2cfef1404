"""ElevenLabs' own SDK, which speaks TLS only: behind a proxy of this script's own, as in production."""

import asyncio
import os
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from common import HTTP, KEY, SENTENCES, Ear
from elevenlabs.client import ElevenLabs


def certificate(folder: str) -> ssl.SSLContext:
    """One for this machine, signed by nobody, which the SDK is told to trust."""
    key, cert = Path(folder, "key.pem"), Path(folder, "cert.pem")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    alternative = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*made, *alternative, "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.environ["SSL_CERT_FILE"] = str(cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def proxy(context: ssl.SSLContext, ready: "threading.Event", port: list[int]) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(HTTP)
        ours = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pass_on(reader, ours[1]), pass_on(ours[0], writer), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port.append(server.sockets[0].getsockname()[1])
    ready.set()
    await server.serve_forever()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        context, ready, port = certificate(folder), threading.Event(), list[int]()
        threading.Thread(target=lambda: asyncio.run(proxy(context, ready, port)), daemon=True).start()
        ready.wait(10)
        client = ElevenLabs(api_key=KEY, base_url=f"https://localhost:{port[0]}")
        ear = Ear("elevenlabs")
        ear.begin()
        for data in client.text_to_speech.convert_realtime(
            "21m00Tcm4TlvDq8ikWAM",
            text=iter([f"{sentence} " for sentence in SENTENCES]),
            model_id="eleven_flash_v2_5",
            output_format="pcm_24000",
        ):
            ear.hear(data)
        ear.report()


main()
