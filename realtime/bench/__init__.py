"""`voicestack bench`: latency, underruns, capacity and cost of a voice or of any OpenAI-compatible server."""
