"""What a voice that serves tells of itself, under Prometheus names in base units; no label names a session."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
_WORK_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512)
_LEAD_S = (0.0, 0.04, 0.08, 0.16, 0.24, 0.32, 0.48, 0.64, 1.0, 2.0)
_RATIO = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 2.0)
_ROWS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48)


class Metrics:
    """The instruments of one voice, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"voicestack_{name}", what, buckets=buckets, registry=registry)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"voicestack_{name}", what, labels, registry=registry)

        self.ttfb = histogram("ttfb_seconds", "From the first text to the first chunk", _LATENCY_S)
        self.ttfa = histogram("ttfa_seconds", "From the first text to the first audible sample", _LATENCY_S)
        self.queue_wait = histogram("queue_wait_seconds", "From the first text to the first round it is in", _LATENCY_S)
        self.interrupt = histogram("interrupt_seconds", "From interrupt() until the place is free", _LATENCY_S)
        self.prefill = histogram("prefill_seconds", "Time of one round's prefill", _WORK_S)
        self.step = histogram("step_seconds", "Time of one round's steps", _WORK_S)
        self.codec = histogram("codec_seconds", "Time of one round's decoding", _WORK_S)
        self.batch = histogram("batch_streams", "Streams stepped in one round", _ROWS)
        self.lead = histogram("lead_seconds", "Lead of a stream when it is stepped", _LEAD_S)
        self.rtf = histogram("rtf_ratio", "Share of the time that engine and codec are busy, by second", _RATIO)
        self.loop_lag = histogram("loop_lag_seconds", "How late the event loop wakes a sleeper", _WORK_S)
        self.underruns = counter("underruns", "Times a listener ran dry while there was text to speak")
        self.underrun_s = counter("underrun_seconds", "Seconds listeners were dry for that")
        self.rounds_s = counter("round_seconds", "Seconds the worker thread spent on rounds")
        self.ort_s = counter("onnxruntime_seconds", "Seconds of these that were spent inside ONNX Runtime")
        self.loop_s = counter("scheduler_seconds", "Seconds the event loop spent on planning and handing out")
        self.generated = counter("frames_generated", "Frames made, by the depth they were made at", "depth")
        self.played = counter("frames_played", "Frames handed out, by the depth they were decoded at", "depth")
        self.wasted = counter("frames_wasted", "Frames made and never handed out, because of an interruption")
        self.doubts = counter("doubts", "Words that may not have been heard as they should, by why", "reason")
        self.utterances = counter("utterances", "Utterances that have ended, by how", "event")
        self.refused = counter("sessions_refused", "Sessions refused at the door")
        self.sessions = Gauge("voicestack_sessions", "Open sessions, by state", ("state",), registry=registry)
        self.capacity = Gauge("voicestack_session_capacity", "Sessions that admission allows now", registry=registry)
