"""Real-time edges of voicestack: the command line, the sound card, files and what is measured on the way."""
