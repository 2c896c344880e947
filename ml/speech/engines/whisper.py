"""Whisper through CTranslate2: many windows decoded at once, words with times out.

Of faster-whisper the loading, the features and the tokenizer are used, not its two loops. Its
sequential loop is slow on processors and decides from timestamp tokens where to read on; its
batched one loses the rest of a window after the last such token. Here windows are decoded in
batches without timestamp tokens, times come from the decoder's cross-attention, and what was
not understood is heard again (:mod:`ml.speech.hearing`). There is no sampling, so that the same
recording always gives the same words.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ml.errors import ModelUnavailable
from ml.processors import cores
from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.engines.pieces import Piece, joined, looped, plausible, repeats
from ml.speech.engines.weights import Weights, resolve
from ml.stage import Passage

Samples = npt.NDArray[np.float32]
T = TypeVar("T")

MAX_WORKERS = 4
"""Batches that are decoded at the same time on a processor. Two batches on a core each take three
quarters of the time that one takes on two cores; but a single one must not be left one core."""

CPU_BATCH = 3
GPU_BATCH = 16
"""Windows in a batch, unless the caller says how many. On a processor more are no faster, and
each takes 60 to 90 MB: the decoder keeps the sound for every hypothesis of its beam."""
MAX_TOKENS = 224
"""For one window. Nobody says more in 30 s; a decoder that goes on is caught in a loop."""
_FRAMES_PER_SECOND = 100
_WINDOW_FRAMES = 3000
_SECONDS_PER_STAMP = 0.02
_LOADING = threading.Lock()


class Whisper:
    """A loaded model; the :class:`ml.speech.engines.engine.Engine` of ``faster-whisper``."""

    def __init__(self, weights: Weights, threads: int) -> None:
        import ctranslate2
        import faster_whisper

        self._on_gpu = ctranslate2.get_cuda_device_count() > 0
        device = "cuda" if self._on_gpu else "cpu"
        processors = threads or cores()
        # On a GPU the second one makes features while the first one decodes.
        self._workers = 2 if self._on_gpu else min(processors, MAX_WORKERS)
        try:
            self._whisper = faster_whisper.WhisperModel(
                weights.name if weights.directories[1:] else str(weights.directory),
                device=device,
                compute_type=_compute_type(device),
                cpu_threads=max(1, processors // self._workers),
                num_workers=1 if self._on_gpu else self._workers,
                files=weights.files(),
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise ModelUnavailable("The speech model's weights are damaged.") from error
        self.name = f"{weights.name} faster-whisper-{faster_whisper.__version__}"
        self.multilingual = bool(self._whisper.model.is_multilingual)

    def languages(self, windows: Sequence[Samples]) -> dict[str, float]:
        """Return the mean probability of each language over some windows, by ISO 639-1 code."""
        if not self.multilingual:
            return {"en": 1.0}
        encoded = self._encoded(windows)
        found: dict[str, float] = {}
        for ranked in self._whisper.model.detect_language(encoded):
            for token, probability in ranked:
                code = token.strip("<|>")
                found[code] = found.get(code, 0.0) + probability / len(windows)
        return found

    def words(
        self,
        windows: Sequence[Samples],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Word]]:
        """Return the words of each window; none where the decoder is not to be believed."""
        tokenizer = self._tokenizer(language, "transcribe")

        def hear(batch: Sequence[Samples], encoded: Any) -> Iterator[list[Word]]:
            decoded = self._decode(encoded, tokenizer, len(batch), beam_size)
            frames = [_frames(samples) for samples in batch]
            aligned = self._whisper.find_alignment(tokenizer, decoded, encoded, frames)
            for samples, alignment in zip(batch, aligned, strict=True):
                pieces = _pieces(alignment)
                said = [] if looped(pieces) else pieces
                yield joined(said, len(samples) / SAMPLE_RATE, language)

        return self._in_batches(windows, batch_size, hear, advance)

    def translate(
        self,
        windows: Sequence[Samples],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Passage]]:
        """Return in English what is said in each window; empty where nothing is believed."""
        tokenizer = self._tokenizer(language, "translate")

        def hear(batch: Sequence[Samples], encoded: Any) -> Iterator[list[Passage]]:
            decoded = self._decode(encoded, tokenizer, len(batch), beam_size, timed=True)
            for samples, tokens in zip(batch, decoded, strict=True):
                said = [] if repeats(tokenizer.decode(tokens)) else tokens
                yield list(_passages(said, tokenizer, len(samples) / SAMPLE_RATE))

        return self._in_batches(windows, batch_size, hear, advance)

    def _tokenizer(self, language: str, task: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        multilingual = self.multilingual
        return Tokenizer(self._whisper.hf_tokenizer, multilingual, task=task, language=language)

    def _in_batches(
        self,
        windows: Sequence[Samples],
        batch_size: int,
        hear: Callable[[Sequence[Samples], Any], Iterable[T]],
        advance: Callable[[int], None],
    ) -> list[T]:
        """Return what ``hear`` makes of each window, in order; workers take batches in turn."""
        most = batch_size or (GPU_BATCH if self._on_gpu else CPU_BATCH)
        size = max(1, min(most, math.ceil(len(windows) / self._workers)))
        batches = [windows[first : first + size] for first in range(0, len(windows), size)]
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="whisper")

        def work(batch: Sequence[Samples]) -> list[T]:
            return list(hear(batch, self._encoded(batch)))

        found: list[T] = []
        try:
            for heard in pool.map(work, batches):
                found += heard
                advance(len(found))
        finally:
            # Whoever stops does not wait for the batches that are being decoded.
            pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _encoded(self, windows: Sequence[Samples]) -> Any:
        """Return the encoder's output, shape (windows, 1500, width).

        On a processor one window fills a core, and its attention takes 54 MB for six heads:
        a batch would multiply that and be no faster.
        """
        import ctranslate2

        features = self._features(windows)
        if self._on_gpu:
            return self._whisper.encode(features)
        one_by_one = [np.asarray(self._whisper.encode(window[None])) for window in features]
        return ctranslate2.StorageView.from_array(np.concatenate(one_by_one))

    def _features(self, windows: Sequence[Samples]) -> npt.NDArray[np.float32]:
        """Return log-mel features, shape (windows, mels, 3000), padded with silence."""
        extract = self._whisper.feature_extractor
        features = np.zeros(
            (len(windows), extract.mel_filters.shape[0], _WINDOW_FRAMES), np.float32
        )
        for number, samples in enumerate(windows):
            mel = extract(samples)[:, :_WINDOW_FRAMES]
            features[number, :, : mel.shape[1]] = mel
        return features

    def _decode(
        self, encoded: Any, tokenizer: Any, count: int, beam_size: int, *, timed: bool = False
    ) -> list[list[int]]:
        """Return the tokens of each window; none where they are not to be believed.

        With ``timed`` there are timestamp tokens among them.
        """
        prompt = [*tokenizer.sot_sequence, *([] if timed else [tokenizer.no_timestamps])]
        results = self._whisper.model.generate(
            encoded,
            [prompt] * count,
            beam_size=beam_size,
            max_length=len(prompt) + MAX_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [self._believed(result, tokenizer) for result in results]

    def _believed(self, result: Any, tokenizer: Any) -> list[int]:
        tokens = [token for token in result.sequences_ids[0] if token != tokenizer.eot]
        # The score is a mean over the tokens; Whisper's thresholds count the end as one more.
        mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
        endless = len(tokens) >= MAX_TOKENS and repeats(tokenizer.decode(tokens))
        return tokens if plausible(result.no_speech_prob, mean) and not endless else []


def _passages(tokens: Sequence[int], tokenizer: Any, end: float) -> Iterator[Passage]:
    """Yield what stands between two timestamp tokens, with their times within the window."""
    start, text = 0.0, list[int]()
    for token in [*tokens, tokenizer.timestamp_begin + round(end / _SECONDS_PER_STAMP)]:
        if token < tokenizer.timestamp_begin:
            text.append(token)
            continue
        time = min((token - tokenizer.timestamp_begin) * _SECONDS_PER_STAMP, end)
        said = str(tokenizer.decode(text)).strip()
        if said and time > start:
            yield Passage(start, time, said)
        start, text = time, []


def _compute_type(device: str) -> str:
    """Return the fastest precision that the device has without losing words."""
    import ctranslate2

    wanted = ("float16", "int8_float16", "int8") if device == "cuda" else ("int8",)
    supported = ctranslate2.get_supported_compute_types(device)
    return next((kind for kind in wanted if kind in supported), "default")


def _frames(samples: Samples) -> int:
    return min(_WINDOW_FRAMES, len(samples) * _FRAMES_PER_SECOND // SAMPLE_RATE)


def _pieces(alignment: list[dict[str, Any]]) -> list[Piece]:
    return [
        Piece(p["word"], float(p["start"]), float(p["end"]), float(p["probability"]))
        for p in alignment
    ]


def load(model: str, threads: int) -> Whisper:
    """Return this process's model, loaded once; raise ModelUnavailable."""
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _load(model, threads)


@lru_cache(maxsize=2)
def _load(model: str, threads: int) -> Whisper:
    return Whisper(resolve(model), threads)
