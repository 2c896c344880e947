import pytest

from app.api.preferences import preferred_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=10", 10),
        ("respond-async; wait=10", 10),
        ("wait=1, wait=2", 1),
        ("wait=0", 0),
        ("wait", None),
        ("wait=", None),
        ("wait=x", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=1234567890", None),
        ("await=5", None),
        ("handling=strict", None),
        ("", None),
    ],
)
def test_the_wait_that_a_client_prefers(header, seconds):
    assert preferred_wait(header) == seconds
