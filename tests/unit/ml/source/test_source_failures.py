"""yt-dlp's own words, as it raises them, and what they become."""

from __future__ import annotations

import pytest
from yt_dlp import YoutubeDL
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UserNotLive

from ml.errors import EmotionClfError, catalogue
from ml.source.failures import meaning_of

COOKIES = (
    "Use --cookies-from-browser or --cookies for the authentication. See  "
    "https://github.com/yt-dlp/yt-dlp/wiki/FAQ#how-do-i-pass-cookies-to-yt-dlp  for how to "
    "manually pass cookies. Also see  https://github.com/yt-dlp/yt-dlp/wiki/Extractors#exporting-youtube-"
    "cookies  for tips on effectively exporting YouTube cookies"
)
YOUTUBE = {
    f"Sign in to confirm you\u2019re not a bot. {COOKIES}": "source.bot_check",
    "Video unavailable. YouTube is requiring a captcha challenge before playback":
        "source.bot_check",
    "This content isn't available, try again later. The current session has been rate-limited by "
    "YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video "
    "requests to avoid exceeding the rate limit.": "source.rate_limited",
    f"Sign in to confirm your age. This video may be inappropriate for some users. {COOKIES}":
        "source.age_restricted",
    f"Private video. Sign in if you've been granted access to this video. {COOKIES}":
        "source.private",
    "This video is private": "source.private",
    "Video unavailable. This video has been removed by the uploader": "source.removed",
    "This video has been removed for violating YouTube's policy on hate speech.": "source.removed",
    "Video unavailable. This video is no longer available because the YouTube account associated "
    "with this video has been terminated.": "source.removed",
    "Video unavailable. This video contains content from SME, who has blocked it on copyright "
    "grounds": "source.removed",
    "Video unavailable. This video contains content from SME, who has blocked it in your country "
    "on copyright grounds": "source.geo_blocked",
    "Video unavailable. The uploader has not made this video available in your country":
        "source.geo_blocked",
    "Premieres in 5 hours": "source.upcoming",
    "This live event will begin in a few moments.": "source.upcoming",
    "Premiere will begin shortly": "source.upcoming",
    "This live stream recording is not available.": "source.not_found",
    "Join this channel to get access to members-only content like this video, and other exclusive "
    "perks.": "source.paid",
    "This video is available to this channel's members on level: Supporter (or any higher level). "
    "Join this channel to get access to members-only content": "source.paid",
    "This video requires payment to watch": "source.paid",
    "This video is only available to Music Premium members": "source.paid",
    "This video is DRM protected": "source.protected",
    "Video unavailable. This video is not available": "source.not_found",
    "Video unavailable": "source.not_found",
}  # fmt: skip
"""Reasons that YouTube gives, as its extractor passes them on."""
OTHERS = {
    "This video is only available for registered users. Use --username and --password":
        "source.private",
    "This video is only available for registered users with the appropriate subscription":
        "source.paid",
    "This video is for premium members only": "source.paid",
    "You need to purchase the course to download this episode": "source.paid",
    "This livestream has not yet started": "source.upcoming",
    "This live event is scheduled for tomorrow": "source.upcoming",
    "This livestream has ended": "source.not_found",
    "Private video. Login if you have permissions to watch": "source.private",
    "This video is protected by a password, use the --video-password option": "source.private",
    "Login is required to access age-restricted content": "source.age_restricted",
    "This song is blocked in this region": "source.geo_blocked",
    "This video is either unavailable in your region or is DRM protected": "source.geo_blocked",
    "Track unavailable in your country due to licensing restrictions": "source.geo_blocked",
    "You are rate-limited. Try again later.": "source.rate_limited",
    "Streamer is not live": "source.live",
    "Video was deleted": "source.removed",
}  # fmt: skip
"""What other extractors raise."""
NETWORK = {
    "unable to download video: HTTP Error 429: Too Many Requests": "source.rate_limited",
    "Unable to download webpage: HTTP Error 401: Unauthorized": "source.private",
    "Unable to download webpage: HTTP Error 402: Payment Required": "source.paid",
    "Unable to download webpage: HTTP Error 403: Forbidden": "source.not_found",
    "Unable to download webpage: HTTP Error 404: Not Found": "source.not_found",
    "Unable to download webpage: HTTP Error 410: Gone": "source.removed",
    "Unable to download webpage: HTTP Error 451: Unavailable For Legal Reasons":
        "source.geo_blocked",
    "HTTP Error 502: Bad Gateway": "source.unreachable",
    "('Unable to connect to proxy', OSError('Tunnel connection failed: 502 Bad Gateway'))":
        "source.unreachable",
    "The read operation timed out": "source.timeout",
    "Failed to resolve 'x' ([Errno -2] Name or service not known)": "source.unreachable",
    "[Errno 111] Connection refused": "source.unreachable",
    "File is larger than max-filesize (9 bytes > 5 bytes). Aborting.": "source.too_large",
    "unable to write data: [Errno 27] File too large": "source.too_large",
    "Requested format is not available": "media.no_audio",
    "Unsupported URL: https://example.com": "source.unsupported",
    "Unsupported URL: https://example.com/my-private-premium-talk": "source.unsupported",
    "something nobody has ever seen": "source.unsupported",
}  # fmt: skip


def as_raised(error: Exception) -> str:
    """Return the message that yt-dlp makes of an extractor's error."""

    def extract(url: str) -> None:
        raise error

    with YoutubeDL({"quiet": True, "logger": None}, auto_init=False) as ydl:
        wrapped = YoutubeDL._handle_extraction_exceptions(lambda self: extract("x"))
        with pytest.raises(DownloadError) as caught:
            wrapped(ydl)
    return str(caught.value)


@pytest.mark.parametrize("message", YOUTUBE | OTHERS)
def test_what_sites_say(message: str) -> None:
    raised = as_raised(ExtractorError(message, expected=True, video_id="x", ie="youtube"))
    error = meaning_of(raised)
    assert error.code == (YOUTUBE | OTHERS)[message]
    assert message not in str(error)


@pytest.mark.parametrize("message", NETWORK)
def test_what_yt_dlp_says_of_the_network(message: str) -> None:
    error = meaning_of(f"ERROR: [generic] x: {message}")
    assert isinstance(error, EmotionClfError)
    assert error.code == NETWORK[message]


def test_a_geo_block_is_known_by_its_class_whatever_it_says() -> None:
    raised = as_raised(GeoRestrictedError("Nope.", countries=["DE"]))
    assert meaning_of(raised).code == "source.geo_blocked"


def test_a_channel_that_is_not_live_is_a_live_stream() -> None:
    assert meaning_of(as_raised(UserNotLive(video_id="x"))).code == "source.live"


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    codes = {*YOUTUBE.values(), *OTHERS.values(), *NETWORK.values()}
    transient = {code for code in codes if catalogue()[code].transient}
    assert transient == {"source.rate_limited", "source.unreachable"}
