"""What the student reads."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")

from ml.corpora import data
from ml.training.lessons import half_heard, lessons
from tests.unit.ml.training import tiny

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny.texts(tmp_path_factory.mktemp("data"))


def test_comments_come_in_both_forms_and_other_corpora_once(source):
    comments, xed = data.goemotions(source, "train"), data.xed(source)
    lines = data.lines(data.transcripts(source, "train"))
    found = lessons(source, 0)
    assert len(found) == 2 * len(comments) + len(xed) + len(lines) + 10
    assert found.texts[: len(comments)] == comments.texts
    assert np.array_equal(found.sub[len(comments) : 2 * len(comments)], comments.sub)


def test_no_test_text_is_read(source):
    (source / "goemotions" / "test.tsv").write_text("only in test\t0\tid\n")
    assert not any("only in test" in text for text in lessons(source, 0).texts)


def test_a_teacher_is_asked_about_every_text_and_told_how_far_to_trust_its_label(source):
    asked = []

    def opinion(labelled, trust):
        asked.append((len(labelled), trust))
        return replace(labelled, weights=np.ones_like(labelled.weights))

    found = lessons(source, 0, opinion)
    assert sum(count for count, _ in asked) == len(found)
    assert [trust for _, trust in asked] == [0.5, 0.5, 0.3, 0.3, 0.3]
    assert (found.weights == 1).all()


def test_half_of_the_texts_are_heard(source):
    comments = data.goemotions(source, "train")
    loud = replace(comments, texts=tuple(text.upper() for text in comments.texts))
    heard = half_heard(loud, 3)
    quiet = sum(text.islower() for text in heard.texts)
    assert 0.4 < quiet / len(loud) < 0.6
    assert heard.texts == half_heard(loud, 3).texts
