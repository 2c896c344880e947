from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from ml.errors import ExtraMissing
from ml.speech.speakers.pyannote import voices


@pytest.mark.skipif(find_spec("torch") is not None, reason="pyannote.audio may be installed")
def test_without_the_package_the_error_names_the_command_that_installs_it() -> None:
    with pytest.raises(ExtraMissing, match=r"emotion-clf\[pyannote\]"):
        voices(np.zeros(16_000, np.float32), offset=0.0, check=lambda: None)
