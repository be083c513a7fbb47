"""The command `forget`."""

from __future__ import annotations

from pathlib import Path

import click

from hubspot_assets.exits import told


@click.command()
@click.argument("object_type", required=False, metavar="[TYPE]")
@click.argument("ids", nargs=-1)
@click.option("--email", "emails", multiple=True, help="A contact by address; may be repeated.")
@click.option(
    "--from-file", type=click.Path(path_type=Path, dir_okay=False),
    help="A file with an id of TYPE, or an address, on each line.",
)  # fmt: skip
@click.option("--erased", is_flag=True, help="All that readings have found erased in HubSpot.")
@click.option(
    "--exclude", is_flag=True,
    help="Even if HubSpot still has them: they are left out from now on.",
)  # fmt: skip
@click.option(
    "--redact-references", "redact", is_flag=True,
    help="Also their addresses, names and ids in what others' rows say.",
)  # fmt: skip
@click.option("--versions", is_flag=True, help="Also the old versions that a bucket keeps.")
@click.option("--dry-run", is_flag=True, help="Only report where they are, and what it takes.")
@told
def forget(
    object_type: str | None,
    ids: tuple[str, ...],
    emails: tuple[str, ...],
    from_file: Path | None,
    erased: bool,  # noqa: FBT001  (click's)
    exclude: bool,  # noqa: FBT001
    redact: bool,  # noqa: FBT001
    versions: bool,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
) -> None:
    """Take people, or other records, out of all days and readings: forget contacts 151 152.

    Their rows go from every table of every day, and what was read of them from the state. They do
    not come back. What refers to them from elsewhere is counted, and stays unless it is redacted.
    """
    from hubspot_assets.assets.resources import check_owner, connect, s3_resource
    from hubspot_assets.forget.forgetting import lines, warnings
    from hubspot_assets.forget.request import Request, carry_out
    from hubspot_assets.settings import load_settings
    from hubspot_assets.storage import StoreError

    settings = load_settings()
    s3 = s3_resource(settings).get_client
    check_owner(settings, s3)
    request = Request(
        object_type or "", ids, emails, from_file, erased, exclude, dry_run, versions, redact
    )
    report = carry_out(request, settings, s3, lambda: connect(settings), click.echo)
    for line in lines(report, dry_run=dry_run):
        click.echo(line)
    left = list(warnings(report))
    for line in left:
        click.echo(f"warning: {line}", err=True)
    if left:
        raise StoreError("not all is forgotten; see the warnings, and run the same again")
