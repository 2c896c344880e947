"""Whisper through openai-whisper, the reference implementation, in torch.

It decodes window after window, several times slower than the default engine; what it says is what
the model's authors mean it to say. Needs the extra ``openai-whisper``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.errors import ExtraMissing, ModelUnavailable
from ml.processors import cores
from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.engines.pieces import (
    MAX_COMPRESSION,
    MIN_LOG_PROBABILITY,
    NO_SPEECH_PROBABILITY,
    Piece,
    joined,
    plausible,
)
from ml.stage import Passage

TEMPERATURES = (0.0, 0.2, 0.4)
"""Hotter sampling rarely rescues a segment, costs most of the time and invents words."""
_CACHE = Path("~/.cache/whisper")
_LOADING = threading.Lock()
_RUNNING = threading.Lock()
"""One call at a time in this process: openai-whisper keeps its caches in hooks on the model and
switches its attention kernel for all models at once, so calls side by side spoil each other."""
_DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, UnpicklingError)
"""What torch, safetensors and openai-whisper raise for weights that are missing or not theirs."""


class OpenAIWhisper:
    """A loaded model of openai-whisper; see :class:`ml.speech.engines.engine.Engine`."""

    def __init__(self, model: str, threads: int) -> None:
        """Load a size, a checkpoint or a ``.safetensors`` file; use ``threads`` processor threads.

        Raises:
            ExtraMissing: openai-whisper or torch is not installed.
            ModelUnavailable: the weights are missing or damaged.

        """
        whisper = _package()
        import torch

        torch.set_num_threads(threads or cores())
        self._on_gpu = torch.cuda.is_available()
        device = "cuda" if self._on_gpu else "cpu"
        try:
            if _is_safetensors(model):
                self._model = from_safetensors(Path(model)).to(device)
            else:
                cache = str(_CACHE.expanduser())
                self._model = whisper.load_model(model, device=device, download_root=cache)
        except _DAMAGED as error:
            raise ModelUnavailable(
                f"The speech model {Path(model).name!r} is missing or damaged.",
                hint="Give a checkpoint file, or a size that is in openai-whisper's cache or can "
                f"be downloaded: {', '.join(whisper.available_models())}.",
            ) from error
        _compile_alignment(device)
        self.name = f"{_short(model)} openai-whisper-{version('openai-whisper')}"
        self.multilingual = bool(self._model.is_multilingual)

    def languages(self, windows: Sequence[NDArray[np.float32]]) -> dict[str, float]:
        """Return the mean probability of each language over some windows, by ISO 639-1 code."""
        if not self.multilingual:
            return {"en": 1.0}
        import torch
        import whisper

        padded = torch.from_numpy(np.stack([whisper.pad_or_trim(window) for window in windows]))
        mel = whisper.log_mel_spectrogram(
            padded, self._model.dims.n_mels, device=self._model.device
        )
        with _RUNNING:
            _, found = self._model.detect_language(mel)
        return {code: sum(each[code] for each in found) / len(found) for code in found[0]}

    def words(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Word]]:
        """Return the words of each window. Windows are decoded one by one: no batches."""
        heard: list[list[Word]] = []
        for window in windows:
            segments = self._segments(window, "transcribe", language, beam_size)
            pieces = (
                Piece(piece["word"], *(float(piece[n]) for n in ("start", "end", "probability")))
                for segment in segments
                for piece in segment["words"]
            )
            heard.append(joined(pieces, len(window) / SAMPLE_RATE, language))
            advance(len(heard))
        return heard

    def translate(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str,
        beam_size: int,
        batch_size: int,
        advance: Callable[[int], None],
    ) -> list[list[Passage]]:
        """Return in English what is said in each window. Windows are decoded one by one."""
        said: list[list[Passage]] = []
        for window in windows:
            segments = self._segments(window, "translate", language, beam_size)
            said.append(list(_passages(segments, len(window) / SAMPLE_RATE)))
            advance(len(said))
        return said

    def _segments(
        self,
        window: NDArray[np.float32],
        task: Literal["transcribe", "translate"],
        language: str,
        beam_size: int,
    ) -> list[dict[str, Any]]:
        with _RUNNING, _repeatable():
            result = self._model.transcribe(
                window,
                task=task,
                language=language,
                beam_size=beam_size,
                temperature=TEMPERATURES,
                # A mistake shall not be carried into what follows.
                condition_on_previous_text=False,
                no_speech_threshold=NO_SPEECH_PROBABILITY,
                logprob_threshold=MIN_LOG_PROBABILITY,
                word_timestamps=task == "transcribe",
                fp16=self._on_gpu,
            )
        return [segment for segment in result["segments"] if _believed(segment)]


def _believed(segment: dict[str, Any]) -> bool:
    sure = plausible(segment["no_speech_prob"], segment["avg_logprob"])
    return sure and bool(segment["compression_ratio"] <= MAX_COMPRESSION)


def _passages(segments: Iterable[dict[str, Any]], end: float) -> Iterator[Passage]:
    for segment in segments:
        start, stop = float(min(segment["start"], end)), float(min(segment["end"], end))
        text = segment["text"].strip()
        if text and stop > start:
            yield Passage(start, stop, text)


def load(model: str, threads: int) -> OpenAIWhisper:
    """Return this process's model, loaded once; raise ExtraMissing or ModelUnavailable.

    ``model`` is a size, whose file ``<size>.pt`` is looked for in openai-whisper's cache, else
    downloaded, and checked against its SHA-256; or the path of a file in the same format, which
    is read without running anything in it; or that of a ``.safetensors`` file with the tensors
    under the same names, and in its metadata ``dims``, the model's dimensions in JSON, and if known
    ``alignment_heads``, in openai-whisper's own notation.
    """
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _load(model, threads)


@lru_cache(maxsize=2)
def _load(model: str, threads: int) -> OpenAIWhisper:
    return OpenAIWhisper(model, threads)


def identity(model: str) -> list[Any]:
    """Return what tells these weights and their runtime from others.

    A size names the same weights for as long as the package does, which knows their digests.

    Raises:
        ExtraMissing: openai-whisper is not installed.

    """
    with _needing_the_extra():
        runtime = version("openai-whisper")
    file = Path(model)
    return [file.name, file.stat().st_size if file.is_file() else None, runtime]


def at_hand(model: str) -> bool:
    """Whether a model can be loaded without asking the network."""
    return Path(model).is_file() or (_CACHE / f"{model}.pt").expanduser().is_file()


def _package() -> ModuleType:
    with _needing_the_extra():
        # Another project's package is imported by the same name.
        version("openai-whisper")
        return import_module("whisper")


@contextmanager
def _needing_the_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ExtraMissing(
            "The engine openai-whisper is not installed.",
            hint="Install it with pip install 'emotion-clf[openai-whisper]'.",
        ) from error


def from_safetensors(file: Path) -> Any:
    """Return the model in a ``.safetensors`` file; raise ValueError where it is none."""
    from safetensors import SafetensorError, safe_open
    from whisper.model import ModelDimensions, Whisper

    try:
        with safe_open(file, framework="pt") as tensors:
            metadata = tensors.metadata() or {}
            state = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError("not a safetensors file") from error
    model = Whisper(ModelDimensions(**json.loads(metadata["dims"])))
    model.load_state_dict(state)
    if "alignment_heads" in metadata:
        model.set_alignment_heads(metadata["alignment_heads"])
    return model


def _compile_alignment(device: str) -> None:
    """Compile the alignment of words with sound now, so that no recording waits for it."""
    import torch
    from whisper.timing import dtw

    with _RUNNING:
        dtw(torch.zeros(2, 2, device=device))


@contextmanager
def _repeatable() -> Iterator[None]:
    """Draw the same samples each time, for a retried part shall give the same words."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _is_safetensors(model: str) -> bool:
    return Path(model).suffix == ".safetensors"


def _short(model: str) -> str:
    file = Path(model)
    return file.stem if file.suffix in {".safetensors", ".pt"} else file.name
