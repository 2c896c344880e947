"""What yt-dlp's messages mean. The messages themselves are never shown."""

from __future__ import annotations

import re

from ml.errors import (
    EmotionClfError,
    MediaNoAudio,
    SourceAgeRestricted,
    SourceBotCheck,
    SourceGeoBlocked,
    SourceLive,
    SourceNotFound,
    SourcePaid,
    SourcePrivate,
    SourceProtected,
    SourceRateLimited,
    SourceRemoved,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
    SourceUnsupported,
    SourceUpcoming,
)

_URL = re.compile(r"\bhttps?://\S+")
_FAILURES: tuple[tuple[str, type[EmotionClfError]], ...] = (
    (r"not a bot|captcha|unusual traffic|client challenge", SourceBotCheck),
    (r"HTTP Error 429|too many requests|rate.?limit", SourceRateLimited),
    (r"max-filesize|File too large", SourceTooLarge),
    (r"Requested format is not available", MediaNoAudio),
    # yt-dlp appends the first words to every GeoRestrictedError, whatever the site said.
    (
        r"use a VPN or a proxy server|geo.?restrict|HTTP Error 451"
        r"|\b(in|from) (your|this) (country|region|location)",
        SourceGeoBlocked,
    ),
    (r"\bDRM\b", SourceProtected),
    (
        r"confirm your age|age.?(restrict|verif|gate)|inappropriate for some users",
        SourceAgeRestricted,
    ),
    (
        r"\bpremieres? |\bwill begin (in|at|shortly|soon|on)\b|not (yet )?(started|begun)"
        r"|scheduled (for|to)|\bupcoming\b",
        SourceUpcoming,
    ),
    (
        r"members.only|channel's members|for (premium )?members|join this channel"
        r"|requires payment|HTTP Error 402|premium|purchase|\bpaid\b|paywall|\brental\b"
        r"|subscri(be|bers?|ption)\b",
        SourcePaid,
    ),
    (
        r"\bprivate\b|password|sign in|log(ged)?.?in|registered users|HTTP Error 401",
        SourcePrivate,
    ),
    (
        r"\b(removed|deleted|terminated|suspended)\b|no longer (available|exists?)|copyright"
        r"|HTTP Error 410",
        SourceRemoved,
    ),
    (r"\b(is|are) (not|n't) (currently )?(live|online)\b", SourceLive),
    (
        r"HTTP Error (400|403|404)|unavailable|not available|does not exist|has ended",
        SourceNotFound,
    ),
    (r"timed out|timeout", SourceTimeout),
    (
        r"HTTP Error 5\d\d|connection|resolve|name or service|IncompleteRead|SSL|certificate"
        r"|network|unreachable|bytes read|remote end closed",
        SourceUnreachable,
    ),
)
"""First match first, the particular before the vague: sites often say several things at once."""


def meaning_of(message: str) -> EmotionClfError:
    """Return the error that one of yt-dlp's messages stands for."""
    # Their words are the uploader's, not the site's.
    said = _URL.sub("", message)
    for pattern, error in _FAILURES:
        if re.search(pattern, said, re.IGNORECASE):
            return error()
    return SourceUnsupported()
