"""The file systems that artifacts lie on, and how their failures are told apart.

A disk, S3 and Azure's Blob storage behave differently in three things: what is written in one
go, how long they are waited for, and what they say when something is wrong.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import fsspec

from ml.errors import EmotionClfError, ExtraMissing, SettingInvalid, StoreRefused, StoreUnavailable

_S3, _AZURE = ("s3", "s3a"), ("abfs", "abfss", "az")
_WHOLE = (*_S3, *_AZURE, "gcs", "gs")
"""Where an object appears once it is complete. Elsewhere a reader would see half a file."""
_EXTRAS = {**dict.fromkeys(_S3, "s3"), **dict.fromkeys(_AZURE, "azure")}

_ATTEMPTS = 2
"""Of s3fs, each made of as many by botocore. Whoever asks tries again later anyway, and an upload
must not wait for minutes."""
_TIMEOUTS = {"connect_timeout": 5, "read_timeout": 20}
_S3_OPTIONS = {
    "config_kwargs": {
        **_TIMEOUTS,
        "max_pool_connections": 32,
        "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
    }
}

_REFUSALS = {
    "301",
    "403",
    "AccountIsDisabled",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "ClientAuthenticationError",
    "ContainerNotFound",
    "CredentialUnavailableError",
    "InvalidBucketName",
    "NoCredentialsError",
    "NoSuchBucket",
    "PermanentRedirect",
    "PermissionError",
}
"""What no patience changes, by the store's code or the exception's name."""
log = logging.getLogger(__name__)


def check_address(url: str) -> None:
    """Raise where nothing that is installed reads such an address. Nothing is connected to.

    Raises:
        ExtraMissing: an extra of this project would read it.
        SettingInvalid: nothing known would.

    """
    protocol = _protocol(url)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        if extra := _EXTRAS.get(protocol):
            raise ExtraMissing(
                f"An artifact store at {protocol}:// cannot be read.",
                hint=f"Install it with pip install 'emotion-clf[{extra}]'.",
            ) from error
        raise SettingInvalid(
            f"artifact_url: there is nothing that reads {protocol}://.",
            hint="Use file://, s3:// or abfs://, or install the package that brings it to fsspec.",
        ) from error


def open_file_system(url: str) -> tuple[Any, str]:
    """Return this process's file system for an address, and the path in it."""
    # What is connected before a fork is of no use after it.
    return _opened(url, os.getpid())


@cache
def _opened(url: str, process: int) -> tuple[Any, str]:
    protocol = _protocol(url)
    options = _S3_OPTIONS if protocol in _S3 else {}
    # Whatever the operator configures for fsspec goes before.
    chosen = {name: options[name] for name in options.keys() - fsspec.config.conf.get(protocol, {})}
    try:
        # Without the first, what other processes wrote would not be seen; the second keeps a
        # system for each thread.
        uncached = {"use_listings_cache": False, "skip_instance_cache": True}
        system, root = fsspec.core.url_to_fs(url, **uncached, **chosen)
    except Exception as error:  # of the address and the credentials: nothing was asked yet
        log.warning("store.refused", extra={"reasons": list(_reasons(error))})
        raise StoreRefused from error
    if protocol in _S3:
        system.retries = _ATTEMPTS
    elif protocol in _AZURE:
        system.service_client = _less_patient(system.service_client)
    return system, root.rstrip("/")


def _less_patient(client: Any) -> Any:
    """Return a client that gives up in seconds, where Azure's own takes a minute and a half."""
    from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

    return BlobServiceClient(
        client.url,
        credential=client.credential,
        retry_policy=ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=_ATTEMPTS),
        connection_timeout=_TIMEOUTS["connect_timeout"],
        read_timeout=_TIMEOUTS["read_timeout"],
    )


def stores_whole(url: str) -> bool:
    """Return whether an object at such an address appears once it is complete."""
    return _protocol(url) in _WHOLE


def _protocol(url: str) -> str:
    return fsspec.core.split_protocol(url)[0] or "file"


_DEFECTS = (MemoryError, TypeError, AttributeError, NameError, AssertionError)
"""No store raises these because it is away; to try again would only hide them."""


@contextmanager
def asking() -> Iterator[None]:
    """Raise what a file system raises as an error of ours, but for FileNotFoundError.

    Raises:
        FileNotFoundError: the object is not there.
        StoreRefused: there is no such bucket, or these credentials may not use it.
        StoreUnavailable: the store does not answer, is busy, or is full.

    """
    try:
        yield
    except (EmotionClfError, *_DEFECTS):
        raise
    except Exception as error:
        reasons = list(_reasons(error))
        refused = not _REFUSALS.isdisjoint(reasons)
        if isinstance(error, FileNotFoundError) and not refused:
            raise
        # The reasons alone: messages quote addresses.
        log.warning("store.refused" if refused else "store.away", extra={"reasons": reasons})
        raise (StoreRefused if refused else StoreUnavailable)() from error


def _reasons(error: BaseException | None) -> Iterator[str]:
    """Yield the kinds of an exception and of its causes, and the codes that stores give."""
    while error is not None:
        yield type(error).__name__
        response = getattr(error, "response", None)
        if isinstance(response, dict):  # botocore
            yield str(response.get("Error", {}).get("Code"))
        elif code := getattr(error, "error_code", None):  # azure
            yield str(getattr(code, "value", code))
        error = error.__cause__ or error.__context__
