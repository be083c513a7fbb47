"""A sandbox portal and Dagster's UI over it, wired together: `python -m hubspot_assets.dev`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hubspot_assets.definitions import s3_resource
from hubspot_assets.demo import DEMO_BURST, sandbox_process
from hubspot_assets.discovery import refresh_catalog
from hubspot_assets.settings import load_settings

HOME = Path(".dagster")
PORT = 3000


def main() -> None:
    """Serves both until interrupted."""
    HOME.mkdir(exist_ok=True)
    shutil.copy("dagster.yaml", HOME)
    with sandbox_process("--records", "2000", "--burst", str(DEMO_BURST)) as environment:
        os.environ.update(environment, EXPORT_URL=str(Path("export").absolute()))
        os.environ["DAGSTER_HOME"] = str(HOME.absolute())
        settings = load_settings()
        catalog, _ = refresh_catalog(settings, s3_resource(settings).get_client)
        print(  # noqa: T201
            f"sandbox portal {catalog.portal_id} at {environment['HUBSPOT_BASE_URL']}\n"
            f"Dagster's UI at http://127.0.0.1:{PORT} in a moment; Ctrl+C ends both",
            flush=True,
        )
        command = ["dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(PORT)]
        dagster = str(Path(sys.executable).with_name(command[0]))
        try:
            subprocess.run([dagster, *command[1:]], check=False)  # noqa: S603
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
