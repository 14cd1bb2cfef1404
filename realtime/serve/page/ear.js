// Sound in this browser: what arrives, how loud it is, and how long it waits here before it is heard.

export class Ear {
  constructor(element) {
    this.bufferS = 0.06;
    this.element = element;
    this.audio = null; // {context, analyser, source, samples}
  }

  /** Only in answer to a key or a click: browsers play nothing before. */
  wake() {
    if (!this.audio) {
      const context = new AudioContext({ latencyHint: "interactive" });
      const analyser = context.createAnalyser();
      analyser.fftSize = 1024;
      this.audio = { context, analyser, source: null, samples: new Float32Array(analyser.fftSize) };
    }
    this.audio.context.resume();
  }

  /** Hear a stream; rejects when the browser holds it back. */
  hear(stream) {
    this.element.srcObject = stream;
    this.element.muted = false;
    const played = this.element.play();
    this.audio?.source?.disconnect();
    if (this.audio) {
      this.audio.source = this.audio.context.createMediaStreamSource(stream);
      this.audio.source.connect(this.audio.analyser);
    }
    return played;
  }

  set muted(isMuted) {
    this.element.muted = isMuted;
  }

  /** How loud it is now. */
  level() {
    if (!this.audio) return { peak: 0, rms: 0 };
    const { analyser, samples } = this.audio;
    analyser.getFloatTimeDomainData(samples);
    let peak = 0;
    let sum = 0;
    for (const sample of samples.subarray(0, 480)) {
      peak = Math.max(peak, Math.abs(sample));
      sum += sample * sample;
    }
    return { peak, rms: Math.sqrt(sum / 480) };
  }

  /** The browser says how long sound waits in it, which changes by and by. */
  buffers(ms) {
    if (ms > 0) this.bufferS += (Math.min(ms, 500) / 1000 + 0.02 - this.bufferS) / 2;
  }
}
