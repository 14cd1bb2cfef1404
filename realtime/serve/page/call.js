// A call to the server: WebRTC for the sound, a data channel for text and events. It comes back by itself when it is lost.

const GATHER_MS = 250;
const CONNECT_MS = 12000;
const SILENT_MS = 7000;
const BACKOFF_MS = [300, 1000, 2000, 4000, 8000];

export class Refused extends Error {
  constructor(status, message, retryAfterS) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** Emits `state` {state, text}, `message` {…event of the server}, `stream` (MediaStream) and `lost`. */
export class Call extends EventTarget {
  #connection = null;
  #channel = null;
  #wanted = false;
  #attempts = 0;
  #timer = 0;
  #watch = 0;
  #heardAt = 0;
  #opening = null;
  #generation = 0;
  #givenUp = null;

  token = "";

  get connected() {
    return this.#channel?.readyState === "open";
  }

  /** Connect if need be; resolves when messages can be sent. */
  open() {
    this.#wanted = true;
    if (this.connected) return Promise.resolve();
    clearTimeout(this.#timer);
    this.#opening ??= this.#connect().finally(() => (this.#opening = null));
    return this.#opening;
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const wasConnected = this.connected;
    this.#drop();
    if (wasConnected) this.#emit("lost");
    this.#tell("idle", "Not connected");
  }

  /** Lose the connection, as if the network had: for tests. */
  breakOff() {
    this.#connection?.close();
    this.#lose();
  }

  send(type, fields = {}) {
    if (!this.connected) return false;
    this.#channel.send(JSON.stringify({ type, ...fields }));
    return true;
  }

  /** Milliseconds that sound waits in this browser before it is heard, lately. */
  async bufferMs() {
    if (!this.#connection) return 0;
    for (const report of (await this.#connection.getStats()).values()) {
      if (report.type !== "inbound-rtp" || !report.jitterBufferEmittedCount) continue;
      const last = this.lastBuffer ?? { delay: 0, count: 0 };
      const count = report.jitterBufferEmittedCount - last.count;
      const ms = count > 0 ? (1000 * (report.jitterBufferDelay - last.delay)) / count : 0;
      this.lastBuffer = { delay: report.jitterBufferDelay, count: report.jitterBufferEmittedCount };
      this.inbound = report;
      return ms;
    }
    return 0;
  }

  async #connect() {
    this.#drop();
    const generation = ++this.#generation;
    this.#tell("connecting", this.#attempts ? "Reconnecting…" : "Connecting…");
    const connection = (this.#connection = new RTCPeerConnection());
    this.lastBuffer = undefined;
    const givenUp = (this.#givenUp = new AbortController());
    const late = setTimeout(() => givenUp.abort(new Error("the server could not be reached")), CONNECT_MS);
    try {
      const { receiver } = connection.addTransceiver("audio", { direction: "recvonly" });
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      const channel = connection.createDataChannel("events");
      connection.ontrack = ({ track }) => this.#emit("stream", new MediaStream([track]));
      const opened = new Promise((resolve, reject) => {
        // Open is who was greeted: what the server can do is known then.
        channel.onmessage = (event) => {
          channel.onmessage = null;
          resolve(event);
        };
        channel.onclose = () => reject(new Error("the connection was closed"));
        connection.onconnectionstatechange = () => {
          if (connection.connectionState === "failed") reject(new Error("the connection failed"));
        };
        // Whoever hangs up meanwhile waits for none of what is under way, and the server need not either.
        givenUp.signal.onabort = () => reject(givenUp.signal.reason);
      });
      const greeting = await Promise.race([opened, this.#negotiate(connection, givenUp.signal).then(() => opened)]);
      if (generation !== this.#generation) return;
      this.#channel = channel;
      this.#attempts = 0;
      this.#watchOver(connection, channel);
      this.#tell("connected", "Connected");
      channel.onmessage(greeting);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#drop();
      this.#failed(error);
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  async #negotiate(connection, signal) {
    await connection.setLocalDescription();
    await gathered(connection);
    await connection.setRemoteDescription(await this.#offer(connection.localDescription, signal));
  }

  async #offer({ type, sdp }, signal) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const reply = await fetch("offer", {
      method: "POST",
      headers,
      body: JSON.stringify({ type, sdp }),
      signal,
    });
    const answer = await reply.json().catch(() => ({}));
    if (reply.ok) return answer;
    const message = answer.error?.message ?? `the server answered ${reply.status}`;
    throw new Refused(reply.status, message, Number(reply.headers.get("Retry-After")) || undefined);
  }

  #watchOver(connection, channel) {
    const lose = () => channel === this.#channel && this.#lose();
    this.#heardAt = performance.now();
    channel.onclose = lose;
    connection.onconnectionstatechange = () => ["failed", "closed"].includes(connection.connectionState) && lose();
    channel.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
      const message = JSON.parse(data);
      if (message.type === "ping") this.send("pong");
      if (message.type === "bye") this.#wanted = message.reason === "shutdown" && this.#wanted;
      this.#emit("message", message);
    };
    // The server pings every two seconds; a connection on which nothing comes is not one.
    this.#watch = setInterval(() => performance.now() - this.#heardAt > SILENT_MS && lose(), 1000);
  }

  #lose() {
    this.#drop();
    this.#emit("lost");
    if (this.#wanted) this.#again(new Error("the connection was lost"));
    else this.#tell("idle", "Not connected");
  }

  #failed(error) {
    if (error instanceof Refused && error.status !== 429 && error.status < 500) {
      this.#wanted = false;
      this.#tell(error.status === 401 ? "locked" : "idle", error.status === 401 ? "Token needed" : "Not connected");
      return;
    }
    if (error instanceof Refused && error.status === 501) this.#wanted = false;
    if (this.#wanted) this.#again(error);
    else this.#tell("idle", "Not connected");
  }

  #again(error) {
    if (this.#attempts >= 12) {
      this.#wanted = false;
      this.#tell("idle", "Not connected");
      return;
    }
    const backoff = BACKOFF_MS[Math.min(this.#attempts++, BACKOFF_MS.length - 1)];
    const waitMs = Math.max(backoff * (0.75 + Math.random() / 2), 1000 * (error.retryAfterS ?? 0));
    this.#tell("waiting", waitMs > 1500 ? `Trying again in ${Math.round(waitMs / 1000)} s` : "Reconnecting…");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open().catch(() => {}), waitMs);
  }

  #drop() {
    clearInterval(this.#watch);
    this.#givenUp?.abort(new Error("the connection was closed"));
    const connection = this.#connection;
    this.#connection = this.#channel = null;
    if (connection) {
      connection.onconnectionstatechange = null;
      connection.close();
    }
  }

  #tell(state, text) {
    this.#emit("state", { state, text });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Wait for the addresses of this browser, but not long: it is found without them, too. */
function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER_MS);
  });
}
