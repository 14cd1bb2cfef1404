({
  // The page tells by an event when the first audible sample is in its analyser, which is what the loudspeaker plays.
  // Have a text spoken on the page and cut in, count + 1 times; milliseconds until it was heard, and until silence.
  async cutIn(count, text) {
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    const heard = [], silent = [];
    for (let turn = 0; turn <= count; turn++) {
      const audible = new Promise((done) => document.addEventListener(
          "voicestack:audible", (e) => done(e.detail), {once: true}));
      document.getElementById("text").value = text;
      document.getElementById("composer").requestSubmit();
      heard.push(await Promise.race([audible, wait(5000).then(() => null)]));
      await wait(1300 + 37 * turn % 200);
      for (let n = 0; n < 1000 && voicestack.level().rms < 0.03; n++) await wait(2);
      const asked = performance.now();
      let last = asked;
      document.getElementById("interrupt").click();
      while (performance.now() - asked < 600) {
        if (voicestack.level().rms > 0.004) last = performance.now();
        await wait(2);
      }
      silent.push(last - asked);
      await wait(400);
    }
    return [heard, silent];
  },

  // So many calls at once that speak without a pause; what the browser counted of each.
  call: (calls, seconds, text) => Promise.all(Array.from({length: calls}, async (_, number) => {
    const peer = new RTCPeerConnection(), events = peer.createDataChannel("events");
    let dry = 0, ready;
    const say = () => events.send(JSON.stringify({type: "text", text, flush: true}));
    const began = new Promise((done) => { ready = done; });
    events.onmessage = ({data}) => {
      const said = JSON.parse(data);
      if (said.type === "hello") { say(); ready(); }
      if (said.type === "ping") events.send(JSON.stringify({type: "pong"}));
      if (said.type === "speech.ended") say();
      if (said.type === "stats") dry = said.underruns;
    };
    const sound = new Audio();
    peer.ontrack = ({track}) => { sound.srcObject = new MediaStream([track]); sound.play(); };
    peer.addTransceiver("audio", {direction: "recvonly"});
    await peer.setLocalDescription(await peer.createOffer());
    const answer = await fetch("/offer", {method: "POST", body: JSON.stringify(peer.localDescription),
                                          headers: {"Content-Type": "application/json"}});
    await peer.setRemoteDescription(await answer.json());
    await began;
    const stats = async () => [...(await peer.getStats()).values()].find((s) => s.type === "inbound-rtp");
    await new Promise((done) => setTimeout(done, 1000));
    const first = await stats();
    await new Promise((done) => setTimeout(done, seconds * 1000));
    const last = await stats();
    peer.close();
    return {packets_per_s: (last.packetsReceived - first.packetsReceived) / ((last.timestamp - first.timestamp) / 1000),
            lost: last.packetsLost - first.packetsLost, concealed: last.concealedSamples - first.concealedSamples,
            underruns: dry};
  })),
})
