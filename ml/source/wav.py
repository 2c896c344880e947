"""The one audio format inside the pipeline: WAV, 16 kHz, mono, 16-bit."""

from __future__ import annotations

from typing import IO

import numpy as np
import numpy.typing as npt

from ml.stage import Span

SAMPLE_RATE = 16_000
BYTES_PER_SAMPLE = 2
_HEADER_BYTES = 44


def read_span(file: IO[bytes], span: Span) -> npt.NDArray[np.float32]:
    """Return the samples of one stretch of an open WAV file, in -1..1.

    Only that stretch is read. A stretch that reaches past the end is cut there.
    """
    first = round(span.start * SAMPLE_RATE)
    count = round(span.end * SAMPLE_RATE) - first
    file.seek(_HEADER_BYTES + first * BYTES_PER_SAMPLE)
    data = file.read(count * BYTES_PER_SAMPLE)
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0
