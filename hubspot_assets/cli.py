"""The commands that a person types."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from hubspot_assets.days_command import days
from hubspot_assets.ddl.command import ddl, glue
from hubspot_assets.diff_command import diff
from hubspot_assets.exits import NOT_DELIVERED, told
from hubspot_assets.forget.command import forget
from hubspot_assets.portals_command import chosen, portals

if TYPE_CHECKING:
    from hubspot_assets.check import Finding

P = ParamSpec("P")


@click.group()
@click.version_option(package_name="hubspot-assets")
@click.option("--portal", metavar="NAME", help="One of PORTALS_FILE; default: PORTAL_NAME.")
@click.pass_context
def main(context: click.Context, portal: str | None) -> None:
    """Own your HubSpot data: a whole portal, every day, as tables in your bucket.

    Settings come from the environment or a .env file; .env.example lists them.
    """
    if portal:
        context.with_resource(chosen(portal))


main.add_command(days)
main.add_command(diff)
main.add_command(ddl)
main.add_command(glue)
main.add_command(forget)
main.add_command(portals)


@main.command()
@click.option(
    "--port", default=8070, show_default=True, help="0: any free one.",
    type=click.IntRange(0, 65_535),
)  # fmt: skip
@click.option(
    "--records", default=1000, show_default=True, help="Contacts; the rest scales.",
    type=click.IntRange(0),
)  # fmt: skip
@click.option("--seed", default=7, show_default=True, help="The same seed, the same portal.")
@click.option(
    "--plan", default="enterprise", show_default=True,
    type=click.Choice(["free", "starter", "pro", "enterprise"]),
)  # fmt: skip
@click.option("--now", type=click.DateTime(), help="Stops the portal's clock there (UTC).")
@click.option("--contact-properties", type=int, help="How many properties contacts have.")
@click.option("--burst", type=int, help="Requests per 10 s, instead of the plan's.")
@click.option("--without-scope", multiple=True, help="A scope the token lacks; may be repeated.")
def sandbox(
    port: int,
    records: int,
    seed: int,
    plan: str,
    now: datetime | None,
    contact_properties: int | None,
    burst: int | None,
    without_scope: tuple[str, ...],
) -> None:
    """Serve a made-up HubSpot portal on this machine."""
    from hubspot_assets.sandbox import PortalConfig, Sandbox, run

    config = PortalConfig(
        seed=seed,
        records=records,
        plan=plan,
        now=now.replace(tzinfo=UTC) if now else None,
        contact_properties=contact_properties,
        burst=burst,
        without_scopes=frozenset(without_scope),
    )

    def started(served: Sandbox) -> None:
        click.echo(f"HUBSPOT_BASE_URL={served.url}")
        click.echo(f"HUBSPOT_ACCESS_TOKEN={served.token}")
        sys.stdout.flush()

    try:
        run(config, host="127.0.0.1", port=port, started=started)
    except OSError as error:
        raise click.ClickException(f"cannot serve on port {port}: {error.strerror}") from error


@main.command()
@told
def discover() -> None:
    """Ask the portal for its types of objects and events, and keep the catalog for Dagster."""
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.catalog_place import catalog_place
    from hubspot_assets.discovery import refresh_catalog
    from hubspot_assets.instance import instance
    from hubspot_assets.settings import load_settings

    settings = load_settings()
    click.echo("discovering the portal…", err=True)
    with instance():
        pass  # whose databases the UI and the daemon find made, which are started at once
    s3 = s3_resource(settings).get_client
    catalog, changes, warnings = refresh_catalog(settings, s3)
    custom = [each for each in catalog.object_types if each.custom]
    click.echo(
        f"portal {catalog.portal_id}: {len(catalog.object_types)} object types, "
        f"{len(custom)} of them custom, {len(catalog.event_types)} event types; "
        f"kept in {catalog_place(settings, s3).url}"
    )
    for line in changes:
        click.echo(line)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


@main.command()
@click.option("--day", help="A complete day, as 2026-11-20; default: the newest.")
@click.option("--from", "first", help="The first of several days, which one reading serves.")
@click.option("--to", "last", help="The last of them; default: the newest.")
@click.option(
    "--select", multiple=True,
    help="A table, as OBJECTS_CONTACTS; may be repeated. Default: all tables.",
)  # fmt: skip
@click.option(
    "--read-again", is_flag=True,
    help="Ask HubSpot even for what an earlier reading tells of the day.",
)  # fmt: skip
@told
def export(
    day: str | None,
    first: str | None,
    last: str | None,
    select: tuple[str, ...],
    read_again: bool,  # noqa: FBT001  (click's)
) -> None:
    """Read the portal and deliver the tables of a day, or of several."""
    from hubspot_assets.settings import SettingsError

    if (last and not first) or (first and (day or read_again)):
        raise SettingsError("from: expected with --to alone, not with --day or --read-again")

    names = [name.strip() for each in select for name in each.split(",") if name.strip()]
    if select and not names:
        raise SettingsError("select: found nothing, expected a table, as OBJECTS_CONTACTS")
    if first:
        _export_days(first, last, names)
    else:
        _export(day, names, read_again=read_again)


@main.command()
@click.option(
    "--keep-days", type=click.IntRange(1),
    help="How many complete days stay, the newest; default: EXPORT_KEEP_DAYS.",
)  # fmt: skip
@click.option(
    "--keep-monthly", type=click.IntRange(0),
    help="Of how many months the last complete day stays; default: EXPORT_KEEP_MONTHLY.",
)  # fmt: skip
@click.option("--versions", is_flag=True, help="Also all versions that a bucket keeps.")
@click.option("--dry-run", is_flag=True, help="Only report what would go.")
@told
def purge(keep_days: int | None, keep_monthly: int | None, versions: bool, dry_run: bool) -> None:  # noqa: FBT001  (click's)
    """Remove old days of the export, and what was read for them alone."""
    from hubspot_assets.assets.resources import check_owner, s3_resource
    from hubspot_assets.export import retention
    from hubspot_assets.settings import SettingsError, load_settings
    from hubspot_assets.storage import StoreError, open_store

    settings = load_settings()
    days = keep_days or settings.export_keep_days
    if days is None:
        raise SettingsError(
            "EXPORT_KEEP_DAYS: found nothing, nor --keep-days; expected how many "
            "days to keep, as 90"
        )
    s3 = s3_resource(settings).get_client
    check_owner(settings, s3)
    report = retention.purge(
        open_store(settings.export_url, s3),
        open_store(settings.state, s3),
        days,
        settings.export_keep_monthly if keep_monthly is None else keep_monthly,
        versions=versions,
        dry_run=dry_run,
        told=lambda day: click.echo(str(day)),
    )
    for line in retention.left_lines(report):
        click.echo(f"warning: {line}", err=True)
    click.echo(f"{'would remove' if dry_run else 'removed'} {report.total}")
    if report.unfinished:
        raise StoreError(f"{len(report.unfinished)} days could not be purged; see the warnings")


@main.command()
@click.option(
    "--records", default=2000, show_default=True, help="Contacts; the rest scales.",
    type=click.IntRange(0),
)  # fmt: skip
@click.option("--seed", default=7, show_default=True)
@told
def demo(records: int, seed: int) -> None:
    """Deliver yesterday of a sandbox portal into ./demo/export, whatever the settings are."""
    from hubspot_assets.demo import sandbox_settings

    with sandbox_settings(records=records, seed=seed):
        click.echo(f"a sandbox portal of {records:,} contacts, read over HTTP")
        _export(None, [])


@main.command()
@told
def check() -> None:
    """Try the token, its scopes and every permission on the bucket, and say what is missing."""
    from hubspot_assets.progress import Display

    display = Display()
    with display.live():
        from hubspot_assets.assets.resources import s3_resource
        from hubspot_assets.check import failures, lines_of, preflight
        from hubspot_assets.settings import load_settings

        settings = load_settings()
        findings: list[Finding] = []
        display.doing("trying what an export needs")
        for each in preflight(settings, s3_resource(settings).get_client):
            if not findings or each.where != findings[-1].where:
                display.say(each.where)
            for line in lines_of(each, display.console.width):
                display.say(line)
            findings.append(each)
    failed = failures(findings)
    click.echo(f"{len(findings)} tried, {len(failed)} failed")
    sys.exit(NOT_DELIVERED if failed else 0)


_URL = click.option("--url", help="s3://bucket/prefix of the export; default: EXPORT_URL.")
_PRINCIPAL = click.option(
    "--principal", required=True,
    help="Who runs the exporter: an account id, or the ARN of a role or user.",
)  # fmt: skip
_EXTERNAL_ID = click.option("--external-id", required=True, help="As `connect` makes one.")
_PARTITION = click.option(
    "--partition", type=click.Choice(["aws", "aws-us-gov", "aws-cn"]),
    help="Default: that of the ARNs.",
)  # fmt: skip
_KEY = click.option("--kms-key-arn", help="The KMS key that encrypts the bucket.")
_VERSIONS = click.option("--versions", is_flag=True, help="Also grant what purging versions needs.")
_EXISTING = click.option("--existing-bucket", is_flag=True, help="Leave the bucket out.")
_ROLE = click.option("--role-name", default="hubspot-assets", show_default=True)


def _template(command: Callable[P, None]) -> Callable[P, None]:
    """The options of what creates the bucket and the role."""
    for option in (
        _EXISTING, _VERSIONS,
        click.option("--versioned/--no-versioned", help="Whether a new bucket keeps versions."),
        click.option("--new-kms-key", is_flag=True, help="Encrypt by a key that is made for it."),
        _KEY, _PARTITION, _ROLE, _EXTERNAL_ID, _PRINCIPAL, _URL,
    ):  # fmt: skip
        command = option(command)
    return command


@main.group()
def iam() -> None:
    """Print the documents that let the exporter into a bucket. Changes nothing."""


@iam.command()
@_URL
@_PARTITION
@_KEY
@_VERSIONS
@click.option("--glue", "glue_database", help="Also grant `glue sync` into this database.")
@told
def policy(url: str | None, **options: Any) -> None:  # noqa: ANN401
    """The permission policy of the role."""
    from hubspot_assets.aws.connect import as_json, grant
    from hubspot_assets.aws.iam import permission_policy

    click.echo(as_json(permission_policy(grant(_exported_to(url), **options))))


@iam.command()
@_PRINCIPAL
@_EXTERNAL_ID
@_PARTITION
@told
def trust(principal: str, external_id: str, partition: str | None) -> None:
    """The trust policy of the role."""
    from hubspot_assets.aws.connect import as_json
    from hubspot_assets.aws.connect import trust as trust_of

    click.echo(as_json(trust_of(principal, external_id, partition)))


@iam.command()
@_template
@told
def cloudformation(url: str | None, **options: Any) -> None:  # noqa: ANN401
    """A CloudFormation template of bucket, role and policies, as JSON."""
    from hubspot_assets.aws import templates
    from hubspot_assets.aws.connect import as_json, setup

    click.echo(as_json(templates.cloudformation(setup(url=_exported_to(url), **options))))


@iam.command()
@_template
@told
def terraform(url: str | None, **options: Any) -> None:  # noqa: ANN401
    """The same for Terraform."""
    from hubspot_assets.aws import templates
    from hubspot_assets.aws.connect import setup

    click.echo(templates.terraform(setup(url=_exported_to(url), **options)), nl=False)


@main.command()
@click.option("--url", prompt="Where the tables go (s3://bucket/prefix)")
@click.option("--principal", prompt="Who runs the exporter (account id, or ARN of a role or user)")
@click.option("--account", help="The bucket's account; default: that of who runs the exporter.")
@click.option("--external-id", help="Default: a new one.")
@_ROLE
@_PARTITION
@_KEY
@_VERSIONS
@_EXISTING
@told
def connect(account: str | None, external_id: str | None, **options: Any) -> None:  # noqa: ANN401
    """Ask for a bucket and who runs the exporter; say what to create in AWS. Changes nothing."""
    from hubspot_assets.aws.connect import steps

    click.echo(steps(account=account, external_id=external_id, **options))


def _exported_to(url: str | None) -> str:
    """The bucket that a document is for: the given one, else the setting's."""
    from hubspot_assets.settings import SettingsError, load_settings

    found = url or load_settings().export_url
    if url is None and not found.startswith("s3://"):
        raise SettingsError(f"EXPORT_URL: found {found}, nor --url; expected s3://bucket/prefix")
    return found


def _export(day: str | None, select: list[str], *, read_again: bool = False) -> None:
    from hubspot_assets.progress import Display, duration, summary

    began = time.monotonic()
    with Display().live() as display:
        from hubspot_assets.deliver import check_day, deliver
        from hubspot_assets.settings import load_settings

        settings = load_settings()
        wanted = check_day(day, settings)
        delivery = deliver(settings, wanted, select, display, read_again=read_again)
    for line in summary([manifest for manifest, _ in delivery.tables], display.console.width):
        display.say(line)
    took = duration(time.monotonic() - began)
    display.say(f"{wanted} is delivered in {took}: {settings.export_url}/{wanted}/")


def _export_days(first: str, last: str | None, select: list[str]) -> None:
    from hubspot_assets.progress import Display, duration

    began = time.monotonic()
    requests = 0
    with Display().live() as display:
        from hubspot_assets.deliver import check_days, deliver_days
        from hubspot_assets.settings import load_settings

        settings = load_settings()
        days = check_days(first, last, settings)
        for each in deliver_days(settings, days, select, display):
            requests += each.requests
            rows = sum(manifest.rows for manifest, _ in each.tables)
            display.say(
                f"{each.day} is delivered: {len(each.tables)} tables, {rows:,} rows, "
                f"{each.requests:,} requests: {settings.export_url}/{each.day}/"
            )
    click.echo(f"{len(days)} days, {requests:,} requests, {duration(time.monotonic() - began)}")


if __name__ == "__main__":
    main()
