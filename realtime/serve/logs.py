"""Logs of the server: one line an event, as key=value, on standard error; never what somebody has spoken."""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import TextIO

LOGGER = "voicestack"
_BARE = re.compile(r"[\w.:/{}@+-]+", re.ASCII)
_LONGEST = 2000
"""Characters of one value; a traceback of more has its middle left out."""
_FIELDS = "voicestack_fields"


def configure(stream: TextIO | None = None) -> None:
    """Send what this package logs to standard error, from level INFO on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logger = logging.getLogger(LOGGER)
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def log(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: object) -> None:
    """Log an event; fields that are None are left out."""
    logger = logging.getLogger(f"{LOGGER}.serve")
    info = None if error is None else (type(error), error, error.__traceback__)
    logger.log(level, event, exc_info=info, extra={_FIELDS: fields})


class KeyValueFormatter(logging.Formatter):
    """time=... level=... event=... and what belongs to the event; values with blanks in them are quoted as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in the record."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        pairs: dict[str, object] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields: Mapping[str, object] = getattr(record, _FIELDS, {})
        pairs.update({name: value for name, value in fields.items() if value is not None})
        if record.exc_info and record.exc_info[0] is not None:
            pairs["traceback"] = self.formatException(record.exc_info)
        return " ".join(f"{name}={_value(value)}" for name, value in pairs.items())


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return text if _BARE.fullmatch(text) else json.dumps(text)
