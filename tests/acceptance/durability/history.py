"""What the database says happened: every change of a state, whoever made it, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from durability.cluster import Cluster

# Triggers, not code of the service: they see every write, whoever makes it. The table has no
# unique constraint, so that a second effect is seen rather than refused.
HISTORY = """
CREATE TABLE IF NOT EXISTS history (
    n bigserial, at timestamptz DEFAULT clock_timestamp(), job_id uuid, step_id bigint,
    event text, attempt int, losses int);
TRUNCATE history;
CREATE OR REPLACE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, step_id, event, attempt, losses)
    VALUES (NEW.job_id, NEW.id, 'step ' || NEW.state, NEW.attempt, NEW.losses); RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, event) VALUES (NEW.id, 'job ' || NEW.status); RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_result() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, event) VALUES (NEW.job_id, 'result'); RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER steps_history AFTER UPDATE OF state ON steps
    FOR EACH ROW EXECUTE FUNCTION note_step();
CREATE OR REPLACE TRIGGER jobs_history AFTER UPDATE OF status ON jobs
    FOR EACH ROW EXECUTE FUNCTION note_job();
CREATE OR REPLACE TRIGGER results_history AFTER INSERT OR UPDATE ON results
    FOR EACH ROW EXECUTE FUNCTION note_result();
"""
_WITH_STATUS = "SELECT count(*) FROM jobs WHERE id = ANY(CAST(:jobs AS uuid[]))"


def _counted(cluster: Cluster, job_ids: Sequence[UUID], condition: str) -> int:
    jobs = [str(job_id) for job_id in job_ids]
    return cluster.count(f"{_WITH_STATUS} AND {condition}", jobs=jobs)


def open_jobs(cluster: Cluster, job_ids: Sequence[UUID]) -> int:
    """Return how many jobs have not ended."""
    return _counted(cluster, job_ids, "status IN ('queued', 'running')")


def completed(cluster: Cluster, job_ids: Sequence[UUID]) -> int:
    """Return how many jobs completed."""
    return _counted(cluster, job_ids, "status = 'completed'")


def done_more_than_once(cluster: Cluster) -> list[object]:
    """Return the effects that happened twice, and the changes after an end."""
    twice = cluster.rows(
        "SELECT job_id, step_id, event, count(*) FROM history WHERE event IN ('step done',"
        " 'step failed', 'job completed', 'job failed', 'result') GROUP BY 1, 2, 3"
        " HAVING count(*) > 1"
    )
    return list(twice)


def lost_workers(cluster: Cluster) -> int:
    """Return how often a step counts as having lost its worker."""
    return cluster.count("SELECT coalesce(sum(losses), 0) FROM steps")


def claims(cluster: Cluster) -> list[float]:
    """Return when steps were claimed, in order, in seconds since the epoch."""
    query = "SELECT extract(epoch FROM at) FROM history WHERE event = 'step running' ORDER BY n"
    return [float(row[0]) for row in cluster.rows(query)]


def until_claimed(cluster: Cluster, moments: Sequence[float]) -> list[float]:
    """Return, for each moment that a claim followed, the seconds until then."""
    found = claims(cluster)
    following = [(m, [claim for claim in found if claim > m]) for m in moments]
    return [min(later) - moment for moment, later in following if later]


def until_revived(cluster: Cluster, kills: Sequence[float]) -> list[float]:
    """Return, for each step that lost its worker, the seconds until it was ready again.

    From the first kill after its claim, which may have hit another process: never too little.
    """
    found = cluster.rows(
        "SELECT extract(epoch FROM taken.at), extract(epoch FROM max(claimed.at))"
        " FROM history taken JOIN history claimed ON claimed.step_id = taken.step_id"
        " AND claimed.n < taken.n AND claimed.event = 'step running'"
        " WHERE taken.event = 'step ready' AND taken.losses > 0 GROUP BY taken.n, taken.at"
    )
    spans = [(float(taken), [k for k in kills if k > claimed]) for taken, claimed in found]
    return [taken - min(since) for taken, since in spans if since and min(since) < taken]


def snapshot(cluster: Cluster) -> object:
    """Return everything that a worker may write."""
    steps = "SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM steps s"
    jobs = "SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM jobs j"
    results = "SELECT md5(string_agg(r::text, ',' ORDER BY job_id)) FROM results r"
    return [cluster.rows(query) for query in (steps, jobs, results)]
