"""Runs one of the processes with faults: ``python process.py gpu stubs,no_fence``.

Each fault is a module beside this one. A worker's children import them too, since Celery
hands its ``include`` list on to them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    role, faults = sys.argv[1], [f for f in sys.argv[2].split(",") if f]
    sys.path.insert(0, str(Path(__file__).parent))
    for fault in faults:
        importlib.import_module(fault)
    sys.argv = sys.argv[:1]
    if role == "api":
        from app.api.__main__ import main

        sys.exit(main())
    if role == "dispatcher":
        from workers.dispatcher import main

        sys.exit(main())

    from workers import main as worker
    from workers.celery_app import app

    if "stubs" in faults:
        worker.WARM = {"cpu": [], "gpu": []}
    app.conf.include = [*app.conf.include, *faults]
    sys.exit(worker.main([role]))
