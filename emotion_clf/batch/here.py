"""A batch in this process: one item after the other, since the models use all cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emotion_clf.batch.items import Failure, Outcome, Report, input_of
from ml.emotion.classify import verify
from ml.errors import Cancelled, EmotionClfError
from ml.options import PipelineOptions
from ml.pipeline import Runner
from ml.requirements import require

_OF_THIS_MACHINE = (77, 78)
"""Exit codes of errors that every item would meet: a refused key, weights that are missing."""


def analyse_here(
    sources: Iterable[str], options: PipelineOptions, report: Report
) -> Iterator[Outcome]:
    """Yield what becomes of each source, in order; the models are loaded once.

    Raises the :class:`ml.errors.EmotionClfError` that every item would meet.
    """
    require(options, "file")
    # What is missing or damaged must not cost a download and a transcription.
    verify(options.classification)
    return (_analysed(source, options, report) for source in sources)


def _analysed(source: str, options: PipelineOptions, report: Report) -> Outcome:
    def progress(stage: str, fraction: float, detail: str) -> None:
        report(source, stage, fraction, detail)

    try:
        return Outcome(source, Runner(options, progress=progress).run(input_of(source)))
    except EmotionClfError as error:
        if isinstance(error, Cancelled) or error.exit_code in _OF_THIS_MACHINE:
            raise
        return Outcome(source, error=Failure.of(error))
    except OSError:
        # A full disk, say: the next item would meet it too.
        raise
    except Exception as error:
        # A defect of ours must not end a batch that runs for days.
        return Outcome(
            source, error=Failure.of(EmotionClfError(f"{type(error).__name__}: {error}"))
        )
