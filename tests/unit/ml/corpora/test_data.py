import numpy as np
import pytest

from ml.corpora import data
from ml.corpora.data import UNKNOWN
from ml.taxonomy import BASE_EMOTIONS, SUB_EMOTIONS

JOY, LOVE, SADNESS = (SUB_EMOTIONS.index(name) for name in ("joy", "love", "sadness"))
HAPPINESS, SAD, ANGER, NEUTRAL = (
    BASE_EMOTIONS.index(name) for name in ("happiness", "sadness", "anger", "neutral")
)


@pytest.fixture
def source(tmp_path):
    for folder in ("goemotions", "xed", "tv_transcripts", "emobank"):
        (tmp_path / folder).mkdir()
    (tmp_path / "goemotions" / "dev.tsv").write_text(
        f"So  glad!\t{JOY}\tid1\nBittersweet\t{JOY},{LOVE},{SADNESS}\tid2\n\n", encoding="utf-8"
    )
    (tmp_path / "xed" / "en-annotated.tsv").write_text(
        "Get out , [PERSON] !\t1, 6\nSoon .\t2, 8\n", encoding="utf-8"
    )
    (tmp_path / "xed" / "neu_en.txt").write_text("9\tAt nine.\n9\n\n", encoding="utf-8")
    header = "start_time,end_time,text,emotion,sub-emotion,intensity\n"
    lines = (
        '"00:00","00:01",,,,\n'
        '"00:00","00:01",How lovely.,happiness,joy,overwhelming\n'
        '"00:00","00:01","Well, well.",happiness,curiosity,neutral\n'
        '"00:00","00:01",Odd.,disgust,aversion,mild\n'
        '"00:00","00:01",Hm.,,,\n'
    )
    for index in range(10):
        path = tmp_path / "tv_transcripts" / f"{index:02}.csv"
        path.write_text(header + lines, encoding="utf-8-sig")
    rated = [f"id,train,3,{2 + i / 10},3,{i} calm" for i in range(10)]
    rated += ["id,test,3,5,3,wild"]
    (tmp_path / "emobank" / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *rated]))
    return tmp_path


def test_goemotions_shares_the_base_emotion_among_the_labels(source):
    read = data.goemotions(source, "dev")
    assert read.texts == ("So glad!", "Bittersweet")
    assert read.sub[1].nonzero()[0].tolist() == [JOY, LOVE, SADNESS]
    assert read.base[0, HAPPINESS] == 1
    assert read.base[1, [HAPPINESS, SAD]] == pytest.approx([2 / 3, 1 / 3])
    assert read.has_sub.all()
    assert data.single_base(read.base).tolist() == [True, False]


def test_xed_knows_base_emotions_only(source):
    read = data.xed(source)
    assert read.texts == ("Get out, [NAME]!", "At nine.")
    assert read.base[0, [ANGER, SAD]] == pytest.approx([0.5, 0.5])
    assert read.base[1, NEUTRAL] == 1
    assert not read.has_sub.any()
    assert not read.sub.any()


def test_sets_can_be_joined_and_cut(source):
    both = data.goemotions(source, "dev") + data.xed(source)
    assert len(both) == 4
    assert both.has_sub.tolist() == [True, True, False, False]
    assert len(both.head(3)) == 3


def test_transcripts_keep_order_and_mask_what_is_unknown(source):
    lines = data.transcripts(source, "test")[0]
    assert lines.texts == ("How lovely.", "Well, well.", "Odd.", "Hm.")
    assert lines.sub.tolist() == [JOY, SUB_EMOTIONS.index("curiosity"), UNKNOWN, UNKNOWN]
    assert lines.intensity.tolist() == [2, UNKNOWN, 0, UNKNOWN]


def test_transcripts_are_split_as_wholes(source):
    names = {
        split: {t.name for t in data.transcripts(source, split)}
        for split in ("train", "dev", "test")
    }
    assert names["test"] == {"03"}
    assert names["dev"] == {"07"}
    assert len(names["train"]) == 8


def test_lines_keep_those_labels_that_are_known(source):
    read = data.lines(data.transcripts(source, "test"))
    assert len(read) == 4
    assert read.weights.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert read.degree[[0, 2]].tolist() == [[1, 1], [0, 0]]
    assert read.base[0, HAPPINESS] == read.sub[0, JOY] == 1


def test_arousal_is_cut_where_the_shares_of_intensity_are(source):
    read = data.emobank(source, [0.5, 0.3, 0.2])
    assert read.texts[0] == "0 calm"
    assert read.degree.sum(0).tolist() == [5, 2]
    assert read.degree[:5].sum() == 0
    assert read.weights.tolist() == [[0, 0, 1]] * 10


def test_words_and_marks_of_subtitles_are_joined(source):
    (source / "xed" / "neu_en.txt").write_text("9\tIt 's off , is n't it ?\n", encoding="utf-8")
    assert data.xed(source).texts[-1] == "It's off, isn't it?"


def test_the_base_emotion_of_each_sub_emotion():
    assert BASE_EMOTIONS[data.BASE_INDEX_OF_SUB[JOY]] == "happiness"
    assert data.BASE_INDEX_OF_SUB.shape == (28,)
    assert np.unique(data.BASE_INDEX_OF_SUB).tolist() == list(range(7))
