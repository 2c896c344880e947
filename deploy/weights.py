"""Puts weights of the Hub into an image: ``python deploy/weights.py FOLDER``.

``WHISPER_MODEL`` and ``EMOTION_MODEL`` name them, as in the settings. Those that are part of an
installed package need no copy. ``FOLDER`` becomes a cache of the Hub that holds these alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE

from ml.emotion.weights import resolve as resolve_classifier
from ml.options import ClassificationOptions, TranscriptionOptions
from ml.speech.engines.weights import resolve as resolve_speech


def main(folder: Path) -> None:
    """Fetch what is not there, and copy what came from the Hub."""
    speech = os.environ.get("WHISPER_MODEL") or TranscriptionOptions().model
    classifier = os.environ.get("EMOTION_MODEL") or ClassificationOptions().model
    folder.mkdir(parents=True)
    for place in (resolve_speech(speech).directory, resolve_classifier(classifier)):
        if place.is_relative_to(HF_HUB_CACHE):
            repository = place.relative_to(HF_HUB_CACHE).parts[0]
            shutil.copytree(Path(HF_HUB_CACHE, repository), folder / repository, symlinks=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
