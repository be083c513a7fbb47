"""A sandbox portal and Dagster's UI over it, wired together: `python -m hubspot_assets.dev`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.demo import DEMO_BURST, own_folder, sandbox_process
from hubspot_assets.discovery import refresh_catalog
from hubspot_assets.settings import load_settings

PORT = 3000


def main() -> None:
    """Serves both until interrupted."""
    workspace, instance = Path("workspace.yaml").absolute(), Path("dagster.yaml").absolute()
    options = ("--records", "2000", "--burst", str(DEMO_BURST))
    with sandbox_process(*options) as environment, own_folder() as folder:
        home = folder / "dagster"
        home.mkdir(exist_ok=True)
        shutil.copy(instance, home)
        export, dagster_home = str(folder / "export"), str(home)
        os.environ.update(environment, EXPORT_URL=export, DAGSTER_HOME=dagster_home)
        settings = load_settings()
        catalog = refresh_catalog(settings, s3_resource(settings).get_client).catalog
        print(  # noqa: T201
            f"sandbox portal {catalog.portal_id} at {environment['HUBSPOT_BASE_URL']}\n"
            f"Dagster's UI at http://127.0.0.1:{PORT} in a moment; Ctrl+C ends both",
            flush=True,
        )
        dagster = Path(sys.executable).with_name("dagster")
        command = [str(dagster), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(PORT)]
        try:
            subprocess.run(command, check=False)  # noqa: S603
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
