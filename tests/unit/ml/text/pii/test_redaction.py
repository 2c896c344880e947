from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import ExtraMissing
from ml.options import PII_POLICIES, PiiPolicy
from ml.results import Word
from ml.stage import Span
from ml.text.pii.engine import PiiEngine
from ml.text.pii.redaction import redact, redact_passages, redact_text, require
from ml.text.sentences import sentences_of_text
from ml.text.utterances import utterances


def spoken(text: str, speaker: str | None = None, *, begin: int = 0) -> list[Word]:
    """Each word lasts half a second and begins with a full one."""
    return [
        Word(word, float(n), n + 0.5, 0.9 - n / 1000, speaker)
        for n, word in enumerate(text.split(), start=begin)
    ]


def hidden(text: str) -> str:
    return redact_text(text, PII_POLICIES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Maria Lopez, and I'm late.", "My name is [PERSON_NAME], and I'm late."),
        ("my name is priya raman and i'm late", "my name is [PERSON_NAME] and i'm late"),
        ("this is kwame speaking", "this is [PERSON_NAME] speaking"),
        ("I saw John's car.", "I saw [PERSON_NAME]'s car."),
        ("my last name is spelled o r t e g a", "my last name is spelled [PERSON_NAME]"),
        ("Call (212) 555-0199.", "Call [PHONE_NUMBER]."),
        ("MY NUMBER IS 555-0123", "MY NUMBER IS [PHONE_NUMBER]"),
        ("my number is five five five, oh one two three.", "my number is [PHONE_NUMBER]."),
        ("call double seven four five five five, one two triple four",
         "call [PHONE_NUMBER]"),
        ("it's five five five um oh one two three", "it's [PHONE_NUMBER]"),
        ("eight hundred five five five one two one two", "[PHONE_NUMBER]"),
        ("write to j.smith@gmail.com, please", "write to [EMAIL_ADDRESS], please"),
        ("it's john dot smith at gmail dot com okay", "it's [EMAIL_ADDRESS] okay"),
        ("my email is j k smith eighty five at yahoo dot co dot uk",
         "my email is [EMAIL_ADDRESS]"),
        ("I live at 12 Baker Street, you know.", "I live at [LOCATION], you know."),
        ("i live at twenty one baker street", "i live at [LOCATION]"),
        ("my zip code is nine oh two one oh", "my zip code is [LOCATION]"),
        ("We moved to Paris.", "We moved to [LOCATION]."),
        ("born on the third of may nineteen eighty two", "born on [DATE_OF_BIRTH]"),
        ("My date of birth is 5/3/1982.", "My date of birth is [DATE_OF_BIRTH]."),
        ("my birthday is june fifth", "my birthday is [DATE_OF_BIRTH]"),
        ("my card is four one one one, one one one one, one one one one, one one one one",
         "my card is [CREDIT_CARD_NUMBER]"),
        ("Take 4111 1111 1111 1111.", "Take [CREDIT_CARD_NUMBER]."),
        ("account number is four five six seven eight nine one oh",
         "account number is [ACCOUNT_NUMBER]"),
        ("the IBAN is GB82 WEST 1234 5698 7654 32", "the IBAN is [ACCOUNT_NUMBER]"),
        ("g b eight two w e s t one two three four five six nine eight seven six five four three "
         "two", "[ACCOUNT_NUMBER]"),
        ("My social is 523-45-6780.", "My social is [US_SOCIAL_SECURITY_NUMBER]."),
        ("my social security number is five two three forty five six seven eight oh",
         "my social security number is [US_SOCIAL_SECURITY_NUMBER]"),
        ("the server is 192.168.1.20", "the server is [IP_ADDRESS]"),
        ("one ninety two dot one six eight dot one dot twenty", "[IP_ADDRESS]"),
        ("see https://example.com/help", "see [URL]"),
        ("see example.com/help/. It helps", "see [URL]. It helps"),
        ("go to www dot example dot com slash help", "go to [URL]"),
    ],
)  # fmt: skip
def test_personal_data_is_hidden(text: str, expected: str) -> None:
    assert hidden(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "It cost five hundred dollars.",
        "we had two million five hundred thousand users",
        "Chapter three begins on page 112.",
        "call me at five",
        "my name is not important",
        "the order number is four five six seven eight nine one",
        "From 1990 to 1995, 2000, 2001 and 2002.",
        "one two three four five six seven eight nine ten",
        "the meeting is on the third of may nineteen eighty two",
        "what is your phone number?",
        "I was born to run.",
        "we walked 5 miles down the road",
        "version three dot two",
        "connect the dot at the end",
        "I was alone....thank you, and so tired...save me",
        "",
        "   ",
        "...",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is John Smith. I am so happy today.",
         "My name is [PERSON_NAME]. I am so happy today."),
        ("my name is john smith. i am so happy today.",
         "my name is [PERSON_NAME]. i am so happy today."),
        ("Hi John. How are you?", "Hi [PERSON_NAME]. How are you?"),
        ("Hi John. Mary is here.", "Hi [PERSON_NAME]. [PERSON_NAME] is here."),
        ("I spoke with Mary Jones. It was fine.", "I spoke with [PERSON_NAME]. It was fine."),
        ("Hello, Dr. Miller. She was nice.", "Hello, [PERSON_NAME]. She was nice."),
        ("My name is John B. Smith. I am happy.", "My name is [PERSON_NAME]. I am happy."),
    ],
)  # fmt: skip
def test_a_sentence_ends_where_it_ended(text: str, expected: str) -> None:
    assert hidden(text) == expected
    assert len(list(sentences_of_text(expected))) == len(list(sentences_of_text(text)))
    left = redact(spoken(text), PII_POLICIES).words
    assert len(list(utterances(left))) == expected.count(". ") + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[INFO]john.smith@gmail.com", "[EMAIL_ADDRESS]"),
        ("Call [PAUSE]555-123-4567", "Call [PHONE_NUMBER]"),
        ("[MARY]555-987-6543", "[PHONE_NUMBER]"),
        ("my number is [SPEAKER_01]five five five oh one two three[PAUSE]",
         "my number is [PHONE_NUMBER]"),
        ("[LAUGHS]John Smith left.", "[PERSON_NAME] left."),
        ("My brother John[LAUGHS] Smith left.", "My brother [PERSON_NAME] [PERSON_NAME] left."),
        ("I met [Maria] Lopez.", "I met [PERSON_NAME]."),
        ("[PHONE_NUMBER]john.smith@gmail.com", "[EMAIL_ADDRESS]"),
    ],
)  # fmt: skip
def test_brackets_protect_nothing(text: str, expected: str) -> None:
    assert hidden(text) == expected


@pytest.mark.parametrize("text", ["That is good. [APPLAUSE] Thank you.", "[MUSIC] [MUSIC] yes"])
def test_remarks_stay(text: str) -> None:
    assert hidden(text) == text


def cut(text: str, policies: Sequence[PiiPolicy] = PII_POLICIES) -> str:
    """Redact what is said before ``|``, behind it, or between two as parts of a recording."""
    parts = text.split("|")
    number = 1 if len(parts) == 3 else int(len(parts[0]) == 0)
    left = redact(
        spoken(parts[number]), policies, open_start=number > 0, open_end=number < len(parts) - 1
    )
    return " ".join(word.text for word in left.words)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("My phone number is five five five,|", "My phone number is [PHONE_NUMBER],"),
        ("|oh one two three. Thanks.", "[PHONE_NUMBER]. Thanks."),
        ("|um, one two three|", "um, [PHONE_NUMBER]"),
        ("My card is 4111 1111 um, okay.|", "My card is [CREDIT_CARD_NUMBER] um, okay."),
        ("my account number is double four five|", "my account number is [ACCOUNT_NUMBER]"),
        ("My social is five two three, forty-five,|",
         "My social is [US_SOCIAL_SECURITY_NUMBER],"),
        ("My number is 555-0123. Five five five|", "My number is [PHONE_NUMBER]"),
        ("in that case, my number is five five five|",
         "in that case, my number is [PHONE_NUMBER]"),
    ],
)  # fmt: skip
def test_a_number_that_a_cut_goes_through_is_hidden_on_either_side(
    part: str, expected: str
) -> None:
    assert cut(part) == expected


@pytest.mark.parametrize(
    "part",
    [
        "|",
        "my number is five five|",
        "five five five|",
        "|five five five and so on",
        "five five five, he said|",
        "your order number is four five six|",
        "it cost two thousand|",
        "It cost $500.|",
        "|300 dollars, please.",
        " ".join(["five"] * 41) + "|",
    ],
)
def test_other_numbers_at_a_cut_stay(part: str) -> None:
    said = part.replace("|", "")
    assert cut(part, ["person_name", "url"]) == said
    if "five five five" not in part:
        assert cut(part) == said


def test_a_cut_number_becomes_what_was_asked_for() -> None:
    assert cut("|five five five", ["account_number"]) == "[ACCOUNT_NUMBER]"
    assert cut("my social is five five five|", ["phone_number"]) == "my social is five five five"


def test_a_recording_that_ends_with_its_words_has_no_cut_numbers() -> None:
    words = spoken("I counted five five five")
    assert redact(words, PII_POLICIES).words == tuple(words)


def test_only_the_policies_asked_for_are_applied() -> None:
    text = "My name is Maria Lopez and my number is 555-0123."
    assert redact_text(text, ["phone_number"]).endswith(
        "Maria Lopez and my number is [PHONE_NUMBER]."
    )
    assert redact_text(text, ["person_name"]).endswith("[PERSON_NAME] and my number is 555-0123.")
    assert redact_text(text, []) == text


def test_a_number_of_another_policy_does_not_become_a_telephone_number() -> None:
    text = "my social security number is 523456780"
    assert redact_text(text, ["phone_number"]) == text


def test_a_placeholder_has_the_times_of_its_words_and_the_speaker_of_the_first() -> None:
    words = spoken("it's five five five oh one two three, right", "A")
    words[5] = Word("one", 5.0, 5.5, 0.2, "B")
    redacted = redact(words, PII_POLICIES)
    assert [word.text for word in redacted.words] == ["it's", "[PHONE_NUMBER],", "right"]
    assert redacted.words[1] == Word("[PHONE_NUMBER],", 1.0, 7.5, 0.2, "A")
    assert redacted.spans == (Span(1.0, 7.5),)
    assert (redacted.words[0], redacted.words[2]) == (words[0], words[8])


def test_an_entity_may_run_on_over_sentences_and_speakers() -> None:
    asked = spoken("What is your social security number?", "A")
    answer = spoken("Five two three. Four five. Six seven eight oh. Okay.", "B", begin=6)
    texts = [word.text for word in redact([*asked, *answer], PII_POLICIES).words]
    assert texts[6:] == ["[US_SOCIAL_SECURITY_NUMBER].", "Okay."]


def test_words_keep_their_spaces_in_a_text() -> None:
    assert hidden("Hi,\n my number  is 555 0123.\n") == "Hi,\n my number  is [PHONE_NUMBER].\n"


def test_a_number_may_run_on_from_one_passage_into_the_next() -> None:
    texts = ["My number is five five five,", " oh one", "two three. Thanks.", "", "I am Maria."]
    assert redact_passages(texts, PII_POLICIES) == [
        "My number is [PHONE_NUMBER].", "", "Thanks.", "", "I am [PERSON_NAME]."
    ]  # fmt: skip
    assert redact_passages(texts, []) == texts
    assert redact_passages([], PII_POLICIES) == []


@pytest.mark.parametrize("filler", range(330, 342))
def test_nothing_is_lost_at_the_border_of_two_stretches(filler: int) -> None:
    said = "and then we went home " * (filler // 5) + "well " * (filler % 5)
    text = said + "my card is four one one one one one one one one one one one one one one one yes"
    assert hidden(text + " and so on" * 60).count("[CREDIT_CARD_NUMBER]") == 1
    assert "one" not in hidden(text)


def test_what_was_redacted_stays_as_it_is() -> None:
    once = hidden(
        "My name is Maria Lopez, I live in Paris, call 212-555-0199 or j.smith@gmail.com."
    )
    assert once.count("[") == 4
    assert hidden(once) == once


PARTS = (
    "well five double oh Maria's (John) 555-0123. at dot com gmail my number is card social born "
    "May 1982 street [PHONE_NUMBER] [HM]John one[HM] nineteen hundred and a@b.com, … ''"
)
SAID = st.lists(
    st.sampled_from(PARTS.split())
    | st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(SAID, st.booleans(), st.booleans())
def test_words_outside_of_entities_are_unchanged_and_in_order(
    said: list[str], open_start: bool, open_end: bool
) -> None:
    words = spoken(" ".join(said))
    redacted = redact(words, PII_POLICIES, open_start=open_start, open_end=open_end)
    placeholders = [word for word in redacted.words if word not in words]
    assert len(placeholders) == len(redacted.spans)
    assert [Span(word.start, word.end) for word in placeholders] == list(redacted.spans)
    outside = [
        word for word in words
        if not any(span.start <= word.start < span.end for span in redacted.spans)
    ]  # fmt: skip
    assert [word for word in redacted.words if word in words] == outside
    times = [time for word in redacted.words for time in (word.start, word.end)]
    assert times == sorted(times)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    found = PiiEngine.load().findings(
        "Write to Maria at j.smith@gmail.com or see example.co.uk", cased=True
    )
    assert {finding.policy for finding in found} >= {"email_address", "url"}


def test_presidio_is_loaded_with_the_first_text_only() -> None:
    code = (
        "import sys, ml.text.pii.redaction as pii; pii.require(); "
        "assert not {'presidio_analyzer', 'spacy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_neither_torch_nor_transformers_is_needed() -> None:
    hidden("My name is Maria.")
    assert not {"torch", "transformers"} & set(sys.modules)


def test_without_presidio_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ml.text.pii.engine.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing) as raised:
        require()
    assert "pip install 'emotion-clf[pii]'" in raised.value.advice
