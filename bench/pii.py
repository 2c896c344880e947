"""Recall and precision of the redaction, by policy: python bench/pii.py [--count N --seed S].

The sentences are made by ``bench/pii_sentences.py``, from templates and names that the
recognition was not tuned on. An entity is found where all of its words are hidden under its own
policy; it is hidden where they are hidden under any. A placeholder is right where it stands for
a word of an entity of its policy.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pii_sentences import Half, Labelled, sentences

from ml.options import PII_POLICIES
from ml.results import Word
from ml.text.pii.redaction import redact


@dataclass
class Score:
    """Counts by policy."""

    entities: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    words_found: Counter[str] = field(default_factory=Counter)
    placeholders: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    words_hidden: Counter[str] = field(default_factory=Counter)
    words_right: Counter[str] = field(default_factory=Counter)

    def add(self, sentence: Labelled, answer: Sequence[str | None], shown: Sequence[str]) -> None:
        """Count one sentence; ``answer`` names the policy that hides each of its words."""
        truth: list[str | None] = [None] * len(sentence.words)
        for policy, first, last in sentence.entities:
            truth[first:last] = [policy] * (last - first)
            self.entities[policy] += 1
            self.found[policy] += set(answer[first:last]) == {policy}
            self.hidden[policy] += all(answer[first:last])
        for wanted, given in zip(truth, answer, strict=True):
            if wanted:
                self.words[wanted] += 1
                self.words_found[wanted] += wanted == given
            if given:
                self.words_hidden[given] += 1
                self.words_right[given] += wanted == given
        for placeholder in shown:
            policy, first, last = placeholder.split()
            self.placeholders[policy] += 1
            self.right[policy] += policy in truth[int(first) : int(last)]


def judge(labelled: Sequence[Labelled], *, together: bool, misses: bool) -> Score:
    """Redact the sentences, each alone or all as one transcript, and count."""
    score = Score()
    groups = [labelled] if together else [[sentence] for sentence in labelled]
    for group in groups:
        said = [word for sentence in group for word in sentence.words]
        words = [Word(word, float(n), float(n + 1), 1.0) for n, word in enumerate(said)]
        answer: list[str | None] = [None] * len(said)
        shown: list[tuple[str, int, int]] = []
        redacted = redact(words, PII_POLICIES)
        for word in redacted.words:
            first, last = int(word.start), int(word.end)
            policy = word.text.partition("[")[2].partition("]")[0].lower()
            if policy:
                answer[first:last] = [policy] * (last - first)
                shown.append((policy, first, last))
        start = 0
        for sentence in group:
            end = start + len(sentence.words)
            inside = [f"{p} {a - start} {b - start}" for p, a, b in shown if start <= a < end]
            if misses:
                _show(sentence, answer[start:end])
            score.add(sentence, answer[start:end], inside)
            start = end
    return score


def _show(sentence: Labelled, answer: Sequence[str | None]) -> None:
    truth: list[str | None] = [None] * len(sentence.words)
    for policy, first, last in sentence.entities:
        truth[first:last] = [policy] * (last - first)
    if truth != list(answer):
        marks = [
            word if wanted == given else f"{word}<{wanted or ''}>{given or ''}"
            for word, wanted, given in zip(sentence.words, truth, answer, strict=True)
        ]
        print("  ", " ".join(marks))


def report(title: str, score: Score) -> None:
    """Print one table."""
    print(f"\n{title}")
    header = ("entities", "recall", "hidden", "precision", "words", "recall", "precision")
    print(f"{'policy':<27}" + "".join(f"{name:>10}" for name in header))
    for policy in (*PII_POLICIES, "all"):
        picked = PII_POLICIES if policy == "all" else (policy,)
        total = {
            name: sum(getattr(score, name)[p] for p in picked)
            for name in Score.__dataclass_fields__
        }
        cells = (
            f"{total['entities']:>10}",
            _share(total["found"], total["entities"]),
            _share(total["hidden"], total["entities"]),
            _share(total["right"], total["placeholders"]),
            f"{total['words']:>10}",
            _share(total["words_found"], total["words"]),
            _share(total["words_right"], total["words_hidden"]),
        )
        print(f"{policy:<27}" + "".join(cells))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:>10.3f}" if whole else f"{'-':>10}"


def main() -> None:
    """Print recall, precision and speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="sentences with personal data")
    parser.add_argument("--without", type=int, default=400, help="sentences without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--misses", action="store_true", help="show where it errs")
    options = parser.parse_args()
    half: Half = options.half
    began = time.perf_counter()
    redact([Word("hello", 0.0, 1.0, 1.0)], PII_POLICIES)
    print(f"loaded in {time.perf_counter() - began:.1f} s")
    labelled = list(sentences(half, options.count, options.without, options.seed))
    halves = {
        "with capitals and punctuation": [sentence for sentence in labelled if sentence.cased],
        "in lower case, without": [sentence for sentence in labelled if not sentence.cased],
    }
    for name, chosen in halves.items():
        score = judge(chosen, together=False, misses=options.misses)
        report(f"{len(chosen)} sentences {name}, each alone", score)
    report("all, each alone", judge(labelled, together=False, misses=False))
    began = time.perf_counter()
    for name, chosen in halves.items():
        score = judge(chosen, together=True, misses=False)
        report(f"the sentences {name}, as one transcript", score)
    seconds = time.perf_counter() - began
    number = sum(len(sentence.words) for sentence in labelled)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{number} words in {seconds:.1f} s: {number / seconds:.0f} a second; {peak:.0f} MiB")


if __name__ == "__main__":
    main()
