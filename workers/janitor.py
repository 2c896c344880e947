"""Takes away what was erased and what grew old, beside the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from app.db import create_db_engine
from app.settings import Settings
from app.settings.sections import RetentionSettings
from app.storage import open_store, owner_and_key, store_of
from app.stores.erasure import BATCH, ErasureStore
from app.stores.retention import BATCH as RESULTS
from app.stores.retention import RetentionStore
from ml.artifacts import ArtifactStore
from workers.rounds import Rounds

ERASING_SECONDS = 1.0
TIDYING_SECONDS = 3600.0
ORPHAN_AGE = timedelta(days=1)
"""Age at which an artifact that no job refers to goes, where the others are kept for ever."""
KEYS = 500
"""Artifacts that are asked about at once."""
log = structlog.get_logger(__name__)


class Janitor:
    """The rounds of one process. Others may make theirs at the same time."""

    def __init__(
        self,
        erasures: ErasureStore,
        retention: RetentionStore,
        artifacts: ArtifactStore,
        settings: RetentionSettings,
    ) -> None:
        self._erasures = erasures
        self._retention = retention
        self._artifacts = artifacts
        self._settings = settings

    def erase(self) -> bool:
        """Go on with what was asked to be erased; return whether more is left to do at once."""
        jobs = self._erasures.finish()
        artifacts = self._erasures.purge(
            lambda owner, key: store_of(owner, self._artifacts).delete(key)
        )
        if jobs or artifacts:
            log.info("erased", jobs=jobs, artifacts=artifacts)
        return BATCH in (jobs, artifacts)

    def tidy(self) -> bool:
        """Remove what is older than it is to be kept; return whether more results are left."""
        self._retention.tidy()
        days = self._settings.result_days
        results = self._retention.expire_results(timedelta(days=days)) if days else 0
        if results == RESULTS:
            return True
        artifacts = self._sweep()
        if results or artifacts:
            log.info("expired", results=results, artifacts=artifacts)
        return False

    def _sweep(self) -> int:
        """Remove the artifacts that are old and not needed; return how many."""
        hours = self._settings.audio_hours
        age = timedelta(hours=hours) if hours else None
        old = self._artifacts.older_than(datetime.now(UTC) - (age or ORPHAN_AGE))
        # Each list is of one folder, and so of one owner.
        return sum(
            self._remove_unneeded(paths[start : start + KEYS], age)
            for paths in old
            for start in range(0, len(paths), KEYS)
        )

    def _remove_unneeded(self, paths: Sequence[str], age: timedelta | None) -> int:
        """Remove those of the artifacts in one folder that no job needs any more."""
        ours = {found: path for path in paths if (found := owner_and_key(path))}
        if not ours:
            return 0
        folder, _ = next(iter(ours))
        needed = self._retention.needed(folder, [key for _, key in ours], age)
        return sum(self._removed(path) for (_, key), path in ours.items() if key not in needed)

    def _removed(self, path: str) -> bool:
        try:
            self._artifacts.delete(path)
        except Exception as error:  # each file system has errors of its own
            log.warning("artifact.not_removed", error=type(error).__name__)
            return False
        return True


def janitor_rounds(settings: Settings) -> tuple[Rounds, ...]:
    """Return the rounds of a dispatcher's janitor."""
    engine = create_db_engine(settings.database_url, pool_size=2)
    janitor = Janitor(
        ErasureStore(engine), RetentionStore(engine), open_store(settings), settings.retention
    )
    return (
        Rounds("erasure", janitor.erase, seconds=ERASING_SECONDS),
        Rounds("retention", janitor.tidy, seconds=TIDYING_SECONDS),
    )
