"""Addresses and pages that try to lead a download to 127.0.0.1, where it has no business."""

from __future__ import annotations

import json
from urllib.parse import quote

from media import Answer, MediaServer

HOSTS = {
    "loopback": "127.0.0.1",
    "elsewhere in the network": "127.1.2.3",
    "short": "127.1",
    "decimal": "2130706433",
    "hexadecimal": "0x7f000001",
    "hexadecimal parts": "0x7f.0.0x0.1",
    "octal": "0177.0.0.1",
    "octal number": "017700000001",
    "leading zeros": "127.000.000.001",
    "zero": "0",
    "unspecified": "0.0.0.0",
    "name": "localhost",
    "dot at the end": "127.0.0.1.",
    "name with a dot at the end": "localhost.",
    "ipv6 loopback": "[::1]",
    "ipv6 unspecified": "[::]",
    "mapped": "[::ffff:127.0.0.1]",
    "mapped in hexadecimal": "[::FFFF:7f00:1]",
    "mapped at full length": "[0:0:0:0:0:ffff:7f00:0001]",
    "compatible": "[::127.0.0.1]",
    "nat64": "[64:ff9b::7f00:1]",
    "local nat64": "[64:ff9b:1::127.0.0.1]",
    "6to4": "[2002:7f00:1::1]",
    "teredo": "[2001:0:7f00:1:0:0:80ff:fffe]",
    "isatap": "[2606:4700::5efe:7f00:1]",
    "zone": "[::1%25lo]",
    "fullwidth digits": "\uff11\uff12\uff17.0.0.1",
    "circled digits": "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "ideographic dots": "127\u30020\u30020\u30021",
    "percent-encoded": "%31%32%37.0.0.1",
    "credentials": "outside.test:80@127.0.0.1",
    "user": "outside.test@127.0.0.1",
    "backslash": "outside.test\\@127.0.0.1",
    "private name": "inside.test",
    "private name in capitals": "INSIDE.test",
    "private name with a dot": "inside.test.",
    "some addresses private": "mixed.test",
    "private ipv6 name": "six.test",
    "mapped name": "mapped.test",
}
"""What stands for 127.0.0.1, or tries to, where a host stands."""
NOWHERE = frozenset({"compatible", "nat64", "local nat64", "6to4", "teredo", "isatap"})
"""Those that lead there only where a gateway translates them, which no test has."""

PAGES = {
    "meta refresh": '<meta http-equiv="refresh" content="0; url={url}/x">',
    "video": '<video src="{url}/x.mp4"></video>',
    "audio": '<audio src="{url}/x.mp3"></audio>',
    "source": '<video><source src="{url}/x.mp4" type="video/mp4"></video>',
    "video by a name": '<video src="{named}/x.mp4"></video>',
    "video by a number": '<video src="{number}/x.mp4"></video>',
    "video without a scheme": '<video src="//127.0.0.1:{port}/x.mp4"></video>',
    "og:video": '<meta property="og:video" content="{url}/x.mp4">',
    "og:audio": '<meta property="og:audio" content="{url}/x.mp3">',
    "twitter:player": '<meta name="twitter:player" content="{url}/x">',
    "twitter:player:stream": '<meta name="twitter:player:stream" content="{url}/x.mp4">',
    "json-ld": '<script type="application/ld+json">{{"@context": "https://schema.org", "@type": '
    '"VideoObject", "name": "x", "contentUrl": "{url}/x.mp4"}}</script>',
    "json-ld playlist": '<script type="application/ld+json">{{"@context": "https://schema.org", '
    '"@type": "VideoObject", "name": "x", "contentUrl": "{url}/x.m3u8"}}</script>',
    "json-ld embed": '<script type="application/ld+json">{{"@context": "https://schema.org", '
    '"@type": "VideoObject", "name": "x", "embedUrl": "{url}/x"}}</script>',
    "jwplayer": "<script>jwplayer('a').setup({{file: '{url}/x.mp4'}});</script>",
    "jwplayer manifest": "<script>jwplayer('a').setup({{file: '{url}/x.m3u8'}});</script>",
    "flowplayer": "<script>flowplayer(\"a\", {{a: 1}}, {{b: 2, clip: {{url: '{url}/x.mp4'}}}})"
    "</script>",
    "mediasite": '<iframe src="{url}/Mediasite/Play/ab12ab12ab12ab12ab12ab12ab12ab12ab"></iframe>',
    "flash manifest": "<script>jwplayer('a').setup({{file: '{url}/x.f4m'}});</script>",
    "smil manifest": "<script>jwplayer('a').setup({{file: '{url}/x.smil'}});</script>",
    "dash manifest": "<script>jwplayer('a').setup({{file: '{url}/x.mpd'}});</script>",
    "xspf playlist": "<script>jwplayer('a').setup({{file: '{url}/x.xspf'}});</script>",
}

_HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n"
HLS = {
    "variant": '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\n{url}/child.m3u8\n',
    "rendition": '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{url}/a.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2",AUDIO="a"\n{url}/child.m3u8\n',
    "segment": f"{_HLS}#EXTINF:9,\n{{url}}/s.aac\n#EXT-X-ENDLIST\n",
    "segment by a name": f"{_HLS}#EXTINF:9,\n{{named}}/s.aac\n#EXT-X-ENDLIST\n",
    "redirected segment": f"{_HLS}#EXTINF:9,\n/redirect/302\n#EXT-X-ENDLIST\n",
    "byte range": f"{_HLS}#EXT-X-BYTERANGE:9@0\n#EXTINF:9,\n{{url}}/s.aac\n#EXT-X-ENDLIST\n",
    "key": f'{_HLS}#EXT-X-KEY:METHOD=AES-128,URI="{{url}}/key"\n#EXTINF:9,\n/s.aac\n'
    "#EXT-X-ENDLIST\n",
    "map": f'{_HLS}#EXT-X-MAP:URI="{{url}}/init.mp4"\n#EXTINF:9,\n/s.aac\n#EXT-X-ENDLIST\n',
    "second segment": f"{_HLS}#EXTINF:9,\n/s.aac\n#EXTINF:9,\n{{url}}/s.aac\n#EXT-X-ENDLIST\n",
}
_MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4">'
    '<Representation id="1" bandwidth="1">{inside}</Representation></AdaptationSet></Period></MPD>'
)
DASH = {
    "base": "<BaseURL>{url}/a.mp4</BaseURL>",
    "template": "<SegmentTemplate media='{url}/$Number$.m4s' initialization='{url}/i.mp4' "
    "startNumber='1' duration='9' timescale='1'/>",
    "list": "<SegmentList duration='9' timescale='1'><Initialization sourceURL='{url}/i.mp4'/>"
    "<SegmentURL media='{url}/1.m4s'/></SegmentList>",
}
SMIL = '<smil><head><meta base="{url}/"/></head><body><video src="{url}/x.mp4"/></body></smil>'
FEED = (
    '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><item><title>x</title>'
    '<link>{url}/x</link><enclosure url="{url}/x.mp3" type="audio/mpeg"/></item></channel></rss>'
)
OTHER = {
    "file": "file:///etc/passwd",
    "file on a host": "file://127.0.0.1/etc/passwd",
    "data": "data:audio/wav;base64,UklGRg==",
    "ftp": "ftp://127.0.0.1:{port}/x.mp3",
    "gopher": "gopher://127.0.0.1:{port}/_x",
    "websocket": "ws://127.0.0.1:{port}/x",
    "rtmp": "rtmp://127.0.0.1:{port}/x",
    "prefix peertube": "peertube:127.0.0.1:2790feb0-8120-4e63-9af3-c943c69f5e6c",
    "prefix mms": "mms://127.0.0.1:{port}/x",
    "search": "ytsearch:127.0.0.1",
    "extractor by its address": "http://127.0.0.1:{port}/Mediasite/Play/"
    "ab12ab12ab12ab12ab12ab12ab12ab12ab",
    "peertube by its address": "https://127.0.0.1:{port}/videos/watch/"
    "2790feb0-8120-4e63-9af3-c943c69f5e6c",
}


def vectors(server: MediaServer) -> dict[str, str]:
    """Return addresses by name, of what is at the server's port, but at 127.0.0.1."""
    port = server.port
    names = {
        "url": f"http://127.0.0.1:{port}",
        "named": f"http://inside.test:{port}",
        "number": f"http://2130706433:{port}",
        "port": f"{port}",
    }
    server.put("/s.aac", Answer(bytes(64), "audio/aac"))
    found = {f"host: {name}": f"http://{host}:{port}/x.mp3" for name, host in HOSTS.items()}
    found |= {f"other: {name}": url.format(**names) for name, url in OTHER.items()}
    found |= _redirects(server, names)
    for name, page in PAGES.items():
        text = f"<html><head><title>A talk</title></head><body>{page.format(**names)}</body></html>"
        found[f"page: {name}"] = server.put(f"/page/{quote(name)}", Answer(text.encode()))
    for name, playlist in HLS.items():
        answer = Answer(playlist.format(**names).encode(), "application/vnd.apple.mpegurl")
        found[f"hls: {name}"] = server.put(f"/hls/{quote(name)}", answer)
    for name, inside in DASH.items():
        text = _MPD.format(inside=inside.format(**names))
        found[f"dash: {name}"] = server.put(
            f"/dash/{name}", Answer(text.encode(), "application/dash+xml")
        )
    found["smil"] = server.put("/smil", Answer(SMIL.format(**names).encode(), "application/xml"))
    found["rss"] = server.put("/feed", Answer(FEED.format(**names).encode(), "application/rss+xml"))
    # The page comes from the public address, and what it embeds from the private one.
    found["rebinding"] = f"http://rebind.test:{port}/talk"
    found["smuggled proxy"] = _smuggled(server, names["url"])
    return found


def _redirects(server: MediaServer, names: dict[str, str]) -> dict[str, str]:
    targets = {
        f"{status}": (status, f"{names['url']}/x.mp3") for status in (301, 302, 303, 307, 308)
    }
    targets |= {
        "to a name": (302, f"{names['named']}/x.mp3"),
        "to a number": (302, f"{names['number']}/x.mp3"),
        "without a scheme": (302, f"//127.0.0.1:{names['port']}/x.mp3"),
        "to mapped": (302, f"http://[::ffff:127.0.0.1]:{names['port']}/x.mp3"),
        "to ftp": (302, f"ftp://127.0.0.1:{names['port']}/x.mp3"),
        "to a file": (302, "file:///etc/passwd"),
        "chain": (302, "/redirect/307"),
        "chain over a name": (302, f"http://outside.test:{server.port}/redirect/308"),
    }
    return {
        f"redirect: {name}": server.put(
            f"/redirect/{quote(name)}", Answer(status=status, headers={"Location": location})
        )
        for name, (status, location) in targets.items()
    }


def _smuggled(server: MediaServer, proxy: str) -> str:
    """Return an address whose fragment tells yt-dlp's own extractors to use a proxy."""
    hidden = json.dumps({"http_headers": {"Ytdl-Request-Proxy": proxy}, "referer": f"{proxy}/x"})
    page = server.put("/smuggled", Answer(b"<video src='/s.aac'></video>"))
    return f"{page}#__youtubedl_smuggle={quote(hidden)}"
