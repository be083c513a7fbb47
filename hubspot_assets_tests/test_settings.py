"""Settings: where they come from, and what is said of a wrong one."""

import os
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from hubspot_assets.cli import main
from hubspot_assets.exported import exported_events, exported_types
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[1] / ".env.example"
SECRETS = {
    "HUBSPOT_ACCESS_TOKEN": "pat-eu1-5ec2e7aa",
    "HUBSPOT_CLIENT_SECRET": "a-cl1ent-5ecret",
    "HUBSPOT_REFRESH_TOKEN": "a-refre5h-t0ken",
    "ALERT_WEBHOOK_URL": "https://hooks.example/a-5ecret",
    "BUDGET_URL": "rediss://user:a-5ecret@redis.example:6380/1",
    "CELERY_BROKER_URL": "redis://user:another-5ecret@redis.example/0",
}


@pytest.fixture(autouse=True)
def env(monkeypatch, tmp_path):
    """An environment and a working folder without any setting; sets some."""
    for name in os.environ:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def set_up(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return set_up


def test_without_any_setting_the_defaults_hold():
    settings = load_settings()
    assert settings.hubspot_access_token is None
    assert settings.hubspot_base_url == "https://api.hubapi.com"
    assert settings.export_url == "./export"
    assert settings.state == "./export/_state"
    assert settings.zone.key == "UTC"
    assert settings.object_types == settings.exclude_object_types == ()


def test_every_setting_is_taken_from_the_environment(env):
    env(
        **SECRETS,
        HUBSPOT_CLIENT_ID="a-client",
        HUBSPOT_BASE_URL="http://127.0.0.1:8070/",
        HUBSPOT_API_VERSIONS="owners=v3, objects=2026-03",
        HUBSPOT_WORKERS="3",
        INCREMENTAL="search",
        SWEEP_DAYS="3",
        KEEP_ERASED_DAYS="5",
        EXPORT_URL="s3://bucket/prefix/",
        STATE_URL="s3://other/state",
        CATALOG_FILE="/some/catalog.json",
        EXPORT_FORMATS="csv, parquet",
        EXPORT_TIMEZONE="Europe/Warsaw",
        EXPORT_START="2026-01-31",
        OBJECT_TYPES="contacts, 2-123,,p1_cars",
        EXCLUDE_OBJECT_TYPES="0-27",
        EVENT_TYPES="e_visited_page,4-666440",
        EXCLUDE_EVENT_TYPES="oauth_login",
        EXPORT_OWNERS="team:crm, ann@example.com",
        ASSOCIATION_TABLES="all",
        EXPORT_HISTORY="all",
        EXPORT_EXECUTOR="multiprocess",
        EXPORT_AT="02:15",
        CELERY_VISIBILITY_TIMEOUT="60",
        EXPORT_FRESH_BY="05:45",
        EXPORT_HEAL_DAYS="3",
        KEEP_RUNS_DAYS="30",
        EVENTS_AGAIN_DAYS="5",
        ALERT_CHECKS="all",
        ALERT_WEBSERVER_URL="https://dagster.example/ui/",
        S3_ENDPOINT_URL="https://minio.example/",
        S3_REGION="eu-central-1",
        S3_ADDRESSING_STYLE="virtual",
        S3_SSE="aws:kms",
        S3_SSE_KMS_KEY_ID="alias/export",
        EXPORT_ROLE_ARN="arn:aws-us-gov:iam::123456789012:role/a/path/exporter",
        EXPORT_EXTERNAL_ID="an-external:id",
        EXPORT_ROLE_DURATION="900",
        GLUE_DATABASE="hubspot",
        EXPORT_KEEP_DAYS="90",
        EXPORT_KEEP_MONTHLY="12",
    )
    settings = load_settings()
    found = settings.model_dump() | {
        name.lower(): getattr(settings, name.lower()).get_secret_value() for name in SECRETS
    }
    assert found == {
        **{name.lower(): value for name, value in SECRETS.items()},
        "portals_file": None,
        "portal_name": None,
        "hubspot_client_id": "a-client",
        "hubspot_base_url": "http://127.0.0.1:8070",
        "hubspot_api_versions": {"owners": "v3", "objects": "2026-03"},
        "hubspot_workers": 3,
        "incremental": "search",
        "sweep_days": 3,
        "keep_erased_days": 5,
        "export_url": "s3://bucket/prefix",
        "state_url": "s3://other/state",
        "catalog_file": Path("/some/catalog.json"),
        "export_formats": ("csv", "parquet"),
        "export_timezone": "Europe/Warsaw",
        "export_start": date(2026, 1, 31),
        "object_types": ("contacts", "2-123", "p1_cars"),
        "exclude_object_types": ("0-27",),
        "event_types": ("e_visited_page", "4-666440"),
        "exclude_event_types": ("oauth_login",),
        "export_owners": ("team:crm", "ann@example.com"),
        "association_tables": "all",
        "export_history": "all",
        "export_executor": "multiprocess",
        "celery_visibility_timeout": 60,
        "export_fresh_by": "05:45",
        "export_at": "02:15",
        "export_heal_days": 3,
        "keep_runs_days": 30,
        "events_again_days": 5,
        "alert_checks": "all",
        "alert_webserver_url": "https://dagster.example/ui",
        "s3_endpoint_url": "https://minio.example",
        "s3_region": "eu-central-1",
        "s3_addressing_style": "virtual",
        "s3_sse": "aws:kms",
        "s3_sse_kms_key_id": "alias/export",
        "export_role_arn": "arn:aws-us-gov:iam::123456789012:role/a/path/exporter",
        "export_external_id": "an-external:id",
        "export_role_duration": 900,
        "glue_database": "hubspot",
        "export_keep_days": 90,
        "export_keep_monthly": 12,
    }
    assert settings.state == "s3://other/state"


def test_the_state_of_a_bucket_is_in_it(env):
    env(EXPORT_URL="s3://bucket/prefix")
    settings = load_settings()
    assert settings.state == "s3://bucket/prefix/_state"


def test_a_file_gives_settings_and_the_environment_wins(env, tmp_path):
    (tmp_path / ".env").write_text(
        "HUBSPOT_ACCESS_TOKEN=of-the-file\nEXPORT_URL='/a folder/out'\nHUBSPOT_WORKERS=5\n"
        "# HUBSPOT_BASE_URL=http://nowhere\nAWS_PROFILE=of-no-concern\n"
    )
    env(HUBSPOT_WORKERS="7")
    settings = load_settings()
    assert settings.hubspot_access_token.get_secret_value() == "of-the-file"
    assert settings.export_url == "/a folder/out"
    assert settings.hubspot_workers == 7
    assert settings.hubspot_base_url == "https://api.hubapi.com"


@pytest.mark.parametrize("empty", ["HUBSPOT_WORKERS", "EXPORT_TIMEZONE", "STATE_URL", "EXPORT_URL"])
def test_an_empty_setting_is_none(env, empty):
    env(**{empty: ""})
    assert load_settings() == Settings()
    assert getattr(load_settings(), empty.lower()) == Settings.model_fields[empty.lower()].default


def test_the_example_names_every_setting_and_is_right_as_it_stands(tmp_path):
    text = EXAMPLE.read_text()
    named = re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(name.lower() for name in named) == sorted(Settings.model_fields)
    defaults = load_settings()
    (tmp_path / ".env").write_text(text)
    assert load_settings() == defaults


A_ROLE = "the ARN of a role, as arn:aws:iam::123456789012:role/exporter"
NO_ROLES = (
    "exporter",
    "arn:aws:iam::12345:role/exporter",
    "arn:aws:iam::123456789012:user/exporter",
    "arn:elsewhere:iam::123456789012:role/exporter",
)
WRONG = [
    ("HUBSPOT_BASE_URL", "api.hubapi.com", "an http(s) address"),
    ("HUBSPOT_BASE_URL", "ftp://api.hubapi.com", "an http(s) address"),
    ("HUBSPOT_BASE_URL", "http://", "an http(s) address"),
    ("HUBSPOT_BASE_URL", "http://[::1", "an http(s) address"),
    ("HUBSPOT_BASE_URL", "http://localhost:a-port", "an http(s) address"),
    ("HUBSPOT_API_VERSIONS", "owners", "api=version pairs, as owners=v3,objects=2026-03"),
    ("HUBSPOT_API_VERSIONS", "owners=", "api=version pairs, as owners=v3,objects=2026-03"),
    ("HUBSPOT_WORKERS", "many", "requests in flight, 1 to 64"),
    ("HUBSPOT_WORKERS", "0", "requests in flight, 1 to 64"),
    ("HUBSPOT_WORKERS", "65", "requests in flight, 1 to 64"),
    ("EXPORT_URL", "gs://bucket", "s3://bucket/prefix or a folder"),
    ("EXPORT_URL", "s3:///prefix", "s3://bucket/prefix or a folder"),
    ("STATE_URL", "https://bucket", "s3://bucket/prefix or a folder"),
    ("EXPORT_FORMATS", "parquet", "csv, or csv,parquet"),
    ("EXPORT_FORMATS", "csv,orc", "csv, or csv,parquet"),
    ("EXPORT_TIMEZONE", "Mars/Olympus", "a time zone, as Europe/Warsaw"),
    ("EXPORT_TIMEZONE", "Europe", "a time zone, as Europe/Warsaw"),
    ("EXPORT_TIMEZONE", "../UTC", "a time zone, as Europe/Warsaw"),
    ("EXPORT_TIMEZONE", "localtime", "a time zone, as Europe/Warsaw"),
    ("EXPORT_TIMEZONE", "right/UTC", "a time zone, as Europe/Warsaw"),
    ("EXPORT_START", "2026-02-30", "a day, as 2026-01-31"),
    ("EXPORT_START", "yesterday", "a day, as 2026-01-31"),
    ("EXPORT_HISTORY", "some", "share or all"),
    ("EXPORT_EXECUTOR", "threads", "in_process, multiprocess, celery or k8s"),
    ("CELERY_VISIBILITY_TIMEOUT", "5", "seconds after which a step is delivered again, 30 or more"),
    ("KEEP_RUNS_DAYS", "0", "for how many days to keep the logs of runs, as 30"),
    ("S3_ENDPOINT_URL", "localhost:9000", "an http(s) address"),
    ("S3_ADDRESSING_STYLE", "host", "auto (path where S3_ENDPOINT_URL is set), path or virtual"),
    ("S3_SSE", "AES128", "AES256, aws:kms or aws:kms:dsse"),
    *(("EXPORT_ROLE_ARN", arn, A_ROLE) for arn in NO_ROLES),
    ("EXPORT_EXTERNAL_ID", "an id", "2 to 1224 letters, digits and any of +=,.@:/-_"),
    ("EXPORT_ROLE_DURATION", "899", "seconds of a role's session, 900 to 43200"),
    ("EXPORT_AT", "00:29", "a time of the day, 00:30 or later, as 01:30"),
    ("EXPORT_AT", "24:00", "a time of the day, 00:30 or later, as 01:30"),
    ("EXPORT_FRESH_BY", "01:30", "a time of the day, 02:00 or later, as 06:00"),
    ("EXPORT_FRESH_BY", "24:00", "a time of the day, 02:00 or later, as 06:00"),
    ("EXPORT_FRESH_BY", "6:00", "a time of the day, 02:00 or later, as 06:00"),
    ("ALERT_CHECKS", "errors,all", "errors, all (warnings, too) or none"),
    ("EXPORT_HEAL_DAYS", "-1", "how many of the newest days are completed later, 0 to 90"),
    ("EXPORT_KEEP_DAYS", "0", "how many days to keep, as 90"),
    ("EXPORT_KEEP_MONTHLY", "-1", "of how many months to keep the last day, as 12"),
]


@pytest.mark.parametrize(("name", "found", "expected"), WRONG)
def test_a_wrong_setting_is_one_line_on_which_what_and_what_else(env, name, found, expected):
    env(**{name: found})
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value) == f"{name}: found {found!r}, expected {expected}"


@pytest.mark.parametrize("missing", ["HUBSPOT_CLIENT_ID", *list(SECRETS)[1:3]])
def test_half_of_what_oauth_needs_is_an_error(env, missing):
    env(**SECRETS, HUBSPOT_CLIENT_ID="a-client")
    env(**{missing: ""})
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{missing}: found nothing, expected a value")


@pytest.mark.parametrize(
    ("alone", "missing"),
    [
        ({"EXPORT_EXTERNAL_ID": "an-id"}, "EXPORT_ROLE_ARN: found nothing, expected the ARN of"),
        ({"S3_SSE_KMS_KEY_ID": "a-key"}, "S3_SSE: found nothing, expected aws:kms"),
        ({"S3_SSE_KMS_KEY_ID": "a-key", "S3_SSE": "AES256"}, "S3_SSE: found AES256, expected"),
    ],
)
def test_what_says_nothing_alone_is_an_error(env, alone, missing):
    env(**alone)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(missing)


@pytest.mark.parametrize("executor", ["celery", "k8s"])
@pytest.mark.parametrize(
    ("local", "found"),
    [
        ({"EXPORT_URL": "./export"}, "EXPORT_URL: found ./export, expected s3://bucket/prefix"),
        ({"STATE_URL": "/state"}, "STATE_URL: found /state, expected s3://bucket/prefix"),
        ({"CATALOG_FILE": "/x/c.json"}, "CATALOG_FILE: found /x/c.json, expected none"),
        ({"BUDGET_URL": ""}, "BUDGET_URL: found nothing, expected a Redis server"),
    ],
)
def test_what_one_host_alone_has_is_refused_where_steps_run_on_several(env, executor, local, found):
    shared = {"EXPORT_URL": "s3://bucket/prefix", "BUDGET_URL": "redis://redis.example"}
    env(EXPORT_EXECUTOR=executor, **shared)
    assert load_settings().export_executor == executor
    env(**local)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(found)
    assert str(error.value).endswith(f"since EXPORT_EXECUTOR is {executor}, whose hosts share it")


def test_runs_are_kept_while_days_are_healed_by_them(env):
    env(KEEP_RUNS_DAYS="5", EXPORT_HEAL_DAYS="6")
    with pytest.raises(SettingsError, match="KEEP_RUNS_DAYS: found 5, expected 6 or more"):
        load_settings()


def test_secrets_are_never_shown(env):
    env(**SECRETS, HUBSPOT_CLIENT_ID="a-client")
    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    for name, secret in SECRETS.items():
        assert getattr(settings, name.lower()).get_secret_value() == secret
        assert secret not in shown


@pytest.mark.parametrize(("name", "found"), [each[:2] for each in WRONG])
def test_secrets_are_not_shown_by_the_error_of_another_setting(env, name, found):
    env(**SECRETS, HUBSPOT_CLIENT_ID="a-client", **{name: found})
    with pytest.raises(SettingsError) as error:
        load_settings()
    for secret in SECRETS.values():
        assert secret not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_secrets_are_not_shown_where_oauth_is_half(env):
    env(HUBSPOT_CLIENT_SECRET=SECRETS["HUBSPOT_CLIENT_SECRET"])
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert SECRETS["HUBSPOT_CLIENT_SECRET"] not in str(error.value)


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / ".env").write_bytes(b"EXPORT_URL=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: found bytes that are no UTF-8"):
        load_settings()


@pytest.mark.parametrize("chosen", ["", "deals,0-1"])
def test_leaving_every_type_out_is_an_error(env, chosen):
    everything = ",".join(each.id for each in standard_catalog().object_types)
    env(OBJECT_TYPES=chosen, EXCLUDE_OBJECT_TYPES=everything)
    with pytest.raises(SettingsError, match="EXCLUDE_OBJECT_TYPES: found every type"):
        exported_types(standard_catalog(), load_settings())


def test_types_are_known_by_id_name_label_and_qualified_name(env):
    env(OBJECT_TYPES="0-1,DEAL,companies,Goals", EXCLUDE_OBJECT_TYPES="company")
    found = exported_types(standard_catalog(), load_settings())
    assert [each.object_type.id for each in found] == ["0-1", "0-3", "0-74"]


def test_event_types_are_known_by_name_table_and_id(env):
    env(EVENT_TYPES="visited_pages,4-553675")
    expected = "EVENT_TYPES: found visited_pages, 4-553675, expected names, as visited_page"
    with pytest.raises(SettingsError, match=expected):
        exported_events(standard_catalog(), load_settings())
    env(EVENT_TYPES="e_visited_page,OPENED_EMAIL_V2,4-1553675", EXCLUDE_EVENT_TYPES="4-666440")
    found = exported_events(standard_catalog(), load_settings())
    assert [each.table for each in found] == ["EVENTS_AD_INTERACTION", "EVENTS_VISITED_PAGE"]


TOKEN = "HUBSPOT_ACCESS_TOKEN"
A_TOKEN = "expected a service key or the token of a private app"
A_FOLDER = "expected s3://bucket/prefix or a folder"
#: Settings, and a part of the one line that is said of them.
WRONG_TEXTS = [
    *(
        ({name: found}, f"{name}: found {found!r}, {A_FOLDER}")
        for name in ("EXPORT_URL", "STATE_URL")
        for found in (
            *("~no-such-user/x", "s3:bucket", "s3:/bucket", "s3//bucket/x", "S3://bucket", "s3://"),
            *(
                "s3://a bucket/x",
                "s3://user@bucket/x",
                "s3://bucket?x",
                "s3://b/../x",
                "s3://b/./x",
            ),
            *("file:///x", "https://b.s3.amazonaws.com", "arn:aws:s3:::b", "C:\\data", "   ", "\t"),
            *("/dev/null", "a-file", "a-file/", '"./out"', "'./out'", '"./out', "./o\nut", "a\x07"),
            *("x" * 300, "\udcff"),
        )
    ),
    *(
        ({"CATALOG_FILE": found}, f"CATALOG_FILE: found {found!r}, expected a local file")
        for found in (".", "..", "/", "a-folder", "/dev/null", "s3://b/c.json", " ", "~no-one/c")
    ),
    *(
        ({name: f"{before}5ec2e7{after}"}, f"{name}: found {found}, expected")
        for name in (TOKEN, "HUBSPOT_CLIENT_ID", *list(SECRETS)[1:])
        for before, after, found in (
            ("Bearer ", "", "Bearer in front of it"),
            ("bearer: ", "", "Bearer in front of it"),
            ('"', '"', "quotes around it"),
            ("'", "'", "quotes around it"),
            ("", "`", "quotes around it"),
            ("pat\n", "", "blanks or characters that no token has"),
            ("pat ", "", "blanks or characters that no token has"),
            ("pät-", "", "blanks or characters that no token has"),
            ("\ufeff", "", "blanks or characters that no token has"),
            ("", "\u200b", "blanks or characters that no token has"),
            ("Authorization: Bearer ", "", "blanks or characters that no token has"),
        )
    ),
    ({TOKEN: " \n"}, f"{TOKEN}: found nothing but blanks, {A_TOKEN}"),
    *(
        ({"HUBSPOT_BASE_URL": f"https://a.host{more}"}, f"_URL: found {found} behind the address, ")
        for more, found in (
            *(
                ("/crm", "the path /crm"),
                ("/crm/v3/", "the path /crm/v3/"),
                ("//x", "the path //x"),
            ),
            *(("?a=5ec2e7", "a query"), ("/?a=b", "a query"), ("#x", "a query")),
        )
    ),
    ({"HUBSPOT_BASE_URL": "https://me:5ec2e7@host"}, "HUBSPOT_BASE_URL: found a user in it, "),
    ({"S3_ENDPOINT_URL": "https://5ec2e7@host"}, "S3_ENDPOINT_URL: found a user in it, "),
    ({"S3_ENDPOINT_URL": "https://host/s3?5ec2e7"}, "found a query behind the address, expected"),
    *(
        ({name: found}, f"{name}: found {found!r}, expected an http(s) address")
        for name in ("HUBSPOT_BASE_URL", "S3_ENDPOINT_URL")
        for found in (
            *(
                "https:/a.host",
                "https//a.host",
                "https://.",
                "https://a..b",
                "https://-a",
                "https://",
            ),
            *("https://a host", "https://hübapi.com", "https://a.host:99999", "https://a.host:0"),
            *("https://a_host", "https://a.host\\x", "https://a\nhost", '"https://a.host"', " "),
        )
    ),
    *(
        ({"S3_REGION": found}, f"S3_REGION: found {found!r}, expected a region, as eu-central-1")
        for found in (
            *(
                "eu central 1",
                "EU",
                "eu-central",
                "eu_central_1",
                "EU (Frankfurt)",
                "eu-central-1a",
            ),
            *("-", "1", "$REGION"),
        )
    ),
    ({"S3_REGION": "a region", "S3_ENDPOINT_URL": "http://minio"}, "S3_REGION: found 'a region'"),
    ({"S3_REGION": "a_region", "AWS_ENDPOINT_URL": "http://minio"}, "S3_REGION: found 'a_region'"),
    *(
        ({name: found}, f"{name}: found {found!r}, expected names or ids, as ")
        for name in ("OBJECT_TYPES", "EXCLUDE_OBJECT_TYPES", "EVENT_TYPES", "EXCLUDE_EVENT_TYPES")
        for found in (",", " ", '"deals"')
    ),
    *(
        ({"HUBSPOT_API_VERSIONS": found}, f"found {found!r}, expected api=version pairs")
        for found in (",", "=v3", "owners=v3,owners=v4", "owners:v3")
    ),
    *(
        ({"EXPORT_START": found}, f"EXPORT_START: found {found!r}, expected a day, as 2026-01-31")
        for found in ("20260131", "1769817600", "2026-1-31", "31.01.2026", "0001-01-01", "2026")
    ),
    (
        {"S3_SSE": "aws:kms", "S3_SSE_KMS_KEY_ID": "a key"},
        "S3_SSE_KMS_KEY_ID: found 'a key', expec",
    ),
    *(
        ({name: "x"}, f"{name}: found in the environment, but is no setting; expected {nearest} or")
        for name, nearest in (
            *(("EXPORT_TIMEZON", "EXPORT_TIMEZONE"), ("export_timezon", "EXPORT_TIMEZONE")),
            *(("HUBSPOT_ACCESTOKEN", TOKEN), ("S3_REGIONS", "S3_REGION")),
            *(("OBJECT_TYPE", "OBJECT_TYPES"), ("STATE_URI", "STATE_URL")),
            *(("EXCLUDE_EVENT_TYPE", "EXCLUDE_EVENT_TYPES"), ("CATALOG_FILES", "CATALOG_FILE")),
        )
    ),
    ({"EXPORT_TO": "./x"}, "EXPORT_TO: found in the environment, but is no setting; expected "),
]


def told(*arguments):
    """What a command that must not be carried out says: one line, and status 2."""
    result = CliRunner().invoke(main, arguments or ["discover"])
    assert result.exit_code == 2, result.output
    (line,) = result.output.splitlines()
    assert line.startswith("error: ")
    assert "5ec2e7" not in line
    return line


@pytest.mark.parametrize(("settings", "text"), WRONG_TEXTS)
def test_what_is_no_such_text_is_told_before_anything_is_done(env, tmp_path, settings, text):
    (tmp_path / "a-file").write_text("theirs")
    (tmp_path / "a-folder").mkdir()
    env(**settings)
    assert text in told()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "a-folder"]
    assert (tmp_path / "a-file").read_text() == "theirs"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'EXPORT_URL="./x\n',
            "line 1: found a quote that is not closed, or text behind it at EXPO",
        ),
        ("HUBSPOT_WORKERS=3\n\n\nEXPORT_URL='./x\n", "line 4: found a quote that is not closed"),
        (f'{TOKEN}="5ec2e7\nEXPORT_URL="./x"\n', "line 1: found a quote that is not closed"),
        (f'{TOKEN}="5ec2e7\n', f"text behind it at {TOKEN}, expected NAME=value"),
        ('EXPORT_URL="./x" y\n', "line 1: found a quote that is not closed, or text behind it"),
        (
            "OTHER='x\n",
            "line 1: found a quote that is not closed, or text behind it, expected NAME=",
        ),
        ("# a comment\nEXPORT_URL\n", "line 2: found EXPORT_URL alone, expected NAME=value"),
        ("EXPORT_URL: ./x\n", "line 1: found text that sets nothing, expected NAME=value"),
        ("pat-5ec2e7\n", "line 1: found text that sets nothing, expected NAME=value"),
        ("pat 5ec2e7\n", "line 1: found text that sets nothing, expected NAME=value"),
        ("=x\n", "line 1: found text that sets nothing, expected NAME=value"),
        (
            "\nEXPORT_TIMEZON=x\n",
            "line 2: found EXPORT_TIMEZON, which is no setting; expected EXPORT_T",
        ),
        (
            "hubspot_token=5ec2e7\n",
            "found hubspot_token, which is no setting; expected HUBSPOT_ACC",
        ),
        ("S3_BUCKET=b\n", "found S3_BUCKET, which is no setting; expected one that .env.example"),
        ("EXCLUDED_OBJECT_TYPES=x\n", "is no setting; expected EXCLUDE_OBJECT_TYPES or another"),
        ("OBJECTTYPES=x\n", "is no setting; expected OBJECT_TYPES or another"),
    ],
)
def test_a_file_that_can_not_be_read_as_it_was_meant_names_the_line(tmp_path, text, line):
    (tmp_path / ".env").write_text(text)
    assert told().startswith("error: .env, ")
    assert line in told()
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_names_of_other_programs_are_left_alone(env, tmp_path):
    (tmp_path / ".env").write_text("export AWS_PROFILE=x\nGITHUB_ACCESS_TOKEN=x\nTZ=x # one\n")
    env(
        HUBSPOT_ACCOUNT_ID="x",  # HubSpot's own command line
        HUBSPOT_PERSONAL_ACCESS_KEY="x",
        EXPORT_SERVICE_HOST="x",  # Kubernetes, of a service called export
        EXPORT_PORT_80_TCP_ADDR="x",
        STATE_DIRECTORY="x",  # systemd
        S3_BUCKET="x",
    )
    assert load_settings() == Settings()


def test_blanks_around_a_setting_are_left_out(env):
    env(EXPORT_URL=" s3://bucket/x/ \r", HUBSPOT_ACCESS_TOKEN="a-token\n", S3_REGION="eu-west-1 ")
    settings = load_settings()
    assert settings.export_url == "s3://bucket/x"
    assert settings.hubspot_access_token.get_secret_value() == "a-token"
    assert settings.s3_region == "eu-west-1"


@pytest.mark.parametrize(
    "region", ["us-east-1", "us-gov-west-1", "eu-isoe-west-1", "eusc-de-east-1", "ap-southeast-7"]
)
def test_regions_of_aws_are_known_by_their_form(env, region):
    env(S3_REGION=region)
    assert load_settings().s3_region == region


@pytest.mark.parametrize("endpoint", ["S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_another_store_names_its_regions_as_it_likes(env, endpoint):
    env(S3_REGION="garage", **{endpoint: "https://store.example/s3"})
    assert load_settings().s3_region == "garage"


def test_a_home_is_found(env, tmp_path):
    env(HOME=str(tmp_path), EXPORT_URL="~/out", CATALOG_FILE="~/c.json")
    settings = load_settings()
    assert settings.export_url == f"{tmp_path}/out"
    assert settings.catalog_file == tmp_path / "c.json"
    env(HOME=str(tmp_path / "gone"))
    assert told() == f"error: EXPORT_URL: found '~/out', {A_FOLDER}"


@pytest.mark.parametrize(
    "found", ["hooks.example/a-5ecret", "ftp://x/a-5ecret", "https:///a-5ecret"]
)
def test_what_is_no_webhook_is_told_without_it(env, found):
    env(ALERT_WEBHOOK_URL=found)
    assert told() == "error: ALERT_WEBHOOK_URL: found something else, expected an http(s) address"


@pytest.mark.parametrize(
    "found", ["redis.example/a-5ecret", "http://x/a-5ecret", "redis://:a-5ecret", "redis://u@a@b"]
)
def test_what_is_no_redis_server_is_told_without_it(env, found):
    env(BUDGET_URL=found)
    assert told() == (
        "error: BUDGET_URL: found something else, expected redis://host or rediss://host"
    )
