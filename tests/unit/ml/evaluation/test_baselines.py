import numpy as np
import pytest

from ml.corpora import data
from ml.evaluation.answers import comment_scores
from ml.evaluation.baselines import of_comments, of_lines
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

WORDS = {"neutral": "table", "joy": "happy", "anger": "angry"}
SHARES = (0.6, 0.3, 0.1)
FILLER = ("the", "a", "is", "and")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Texts in which one word tells the emotion."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)

    def said(sub):
        return " ".join([*generator.choice(FILLER, 4), WORDS[sub]])

    (folder / "goemotions").mkdir()
    for split, count in (("train", 300), ("dev", 80), ("test", 80)):
        subs = generator.choice(list(WORDS), count, p=SHARES)
        lines = [f"{said(sub)}\t{SUB_EMOTIONS.index(sub)}\tid" for sub in subs]
        (folder / "goemotions" / f"{split}.tsv").write_text("\n".join(lines))
    (folder / "tv_transcripts").mkdir()
    for index in range(4):
        subs = generator.choice(list(WORDS), 60, p=SHARES)
        rows = ["start_time,end_time,text,emotion,sub-emotion,intensity"]
        rows += [
            f"0,1,{said(sub)},x,{sub},{'intense' if sub == 'anger' else 'mild'}" for sub in subs
        ]
        (folder / "tv_transcripts" / f"{index}.csv").write_text("\n".join(rows))
    return folder


def test_the_words_tell_logistic_regression_and_not_the_majority(source):
    test = data.goemotions(source, "test")
    said = of_comments(source, {"written": test.texts})
    scores = {name: comment_scores(found["written"], test) for name, found in said.items()}
    assert scores["tfidf"]["base_accuracy"].value > 0.95
    # Three of the 28 labels occur.
    assert scores["tfidf"]["macro_f1"].value == pytest.approx(3 / 28, abs=0.01)
    neutral = np.mean(test.sub[:, SUB_EMOTIONS.index("neutral")])
    assert scores["majority"]["base_accuracy"].value == pytest.approx(neutral)
    assert scores["majority"]["calibration_error"].value < 0.15


def test_the_majority_names_one_label_for_all(source):
    present = of_comments(source, {"written": ("any", "thing")})["majority"]["written"].present
    assert present.sum(axis=0)[SUB_EMOTIONS.index("neutral")] == 2
    assert present.sum() == 2


def test_lines_are_learned_from_the_training_transcripts(source):
    said = of_lines(source, ("a is the angry", "and the table"))
    base, intensity = said["tfidf"]
    assert [BASE_EMOTIONS[i] for i in base.argmax(axis=1)] == ["anger", "neutral"]
    assert [INTENSITIES[i] for i in intensity.argmax(axis=1)] == ["intense", "mild"]
    for answers in said.values():
        assert answers.base.sum(axis=1) == pytest.approx([1, 1])
        assert answers.intensity.shape == (2, 3)
