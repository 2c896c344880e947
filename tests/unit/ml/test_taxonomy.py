from __future__ import annotations

from ml.taxonomy import BASE_EMOTIONS, BASE_OF, INTENSITIES, SUB_EMOTIONS, SUBS_OF


def test_every_sub_emotion_belongs_to_exactly_one_base_emotion() -> None:
    grouped = [sub for base in BASE_EMOTIONS for sub in SUBS_OF[base]]
    assert sorted(grouped) == sorted(SUB_EMOTIONS)
    assert len(SUB_EMOTIONS) == 28
    assert len(BASE_EMOTIONS) == 7


def test_base_of_is_the_inverse_of_subs_of() -> None:
    assert all(sub in SUBS_OF[base] for sub, base in BASE_OF.items())


def test_intensities_rise() -> None:
    assert INTENSITIES == ("mild", "moderate", "intense")
