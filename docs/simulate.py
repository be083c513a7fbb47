"""What many portals take each night, on paper: requests, hours, database, calls of S3, prices.

    python docs/simulate.py --portals 200 --records 100000

It goes by nights that were measured in the sandbox, and by the sweep of a large portal; from these
on it is a straight line. Prices are S3's list prices in us-east-1, and options, as they change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import ceil


@dataclass(frozen=True, kw_only=True)
class Night:
    """What a night of a portal takes, the first excepted."""

    records: float
    general: float  # requests to HubSpot, by the budget that they count against
    links: float
    dear: float  # calls of S3: PUT and LIST
    cheap: float  # GET and HEAD
    delivered: float  # bytes of the day
    state: float  # bytes that readings and what belongs to them have grown by
    database: float  # bytes that Dagster's database has grown by; in SQLite
    cpu: float  # seconds of it, on a core of the machine that measured it


#: `python -m hubspot_assets_tests.bench_nights 300 2000`, portals of 167 tables each: the second
#: night of one; and the first nights of two, by which a night grows with records.
SECOND = Night(
    records=1_333,
    general=636,
    links=261,
    dear=2_006,
    cheap=165,
    delivered=9_703_691,
    state=2_745_525,
    database=11_718_627,
    cpu=71.5,
)
SMALL = Night(
    records=1_332,
    general=716,
    links=604,
    dear=2_116,
    cheap=21,
    delivered=9_697_061,
    state=3_347_965,
    database=13_687_403,
    cpu=74.4,
)
LARGE = Night(
    records=7_322,
    general=840,
    links=607,
    dear=2_160,
    cheap=22,
    delivered=20_305_347,
    state=5_371_372,
    database=13_725_325,
    cpu=81.4,
)
#: `make bench`, "by sweep": requests that found what had changed of so many contacts in a day.
SWEPT, SWEEP = 100_743, 1_059
#: So many records of the side of a pair of types that has fewer, and their links are a request.
LINKED = 1_000
#: Types among which a portal's records are, as many each.
TYPES = 20
#: What a professional subscription allows in a second; `make bench` holds a reading to 1.3 times
#: of what its slowest budget needs.
GENERAL_RATE, LINKS_RATE, NEAR = 19.0, 15.0, 1.3


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is asked about; each is an option of the command line."""

    portals: int = 200
    records: int = 100_000
    window_hours: float = 4.0
    keep_days: int = 90
    keep_runs_days: int = 14
    dear_price: float = 0.005  # dollars for a thousand calls
    cheap_price: float = 0.0004
    storage_price: float = 0.023  # dollars for a GB and month


def night_of(records: int) -> Night:
    """A night of a portal of so many records."""
    more = (records - SECOND.records) / (LARGE.records - SMALL.records)
    line = {
        each.name: getattr(SECOND, each.name)
        + more * (getattr(LARGE, each.name) - getattr(SMALL, each.name))
        for each in fields(Night)
    }
    known = {
        "general": SECOND.general + (records - SECOND.records) * SWEEP / SWEPT,
        "links": SECOND.links * ceil(records / TYPES / LINKED),
    }
    return Night(**(line | known))


def seconds(of: Night) -> float:
    """How long a worker is at it: what the slower budget needs, then what is not done meanwhile."""
    return max(of.general / GENERAL_RATE, of.links / LINKS_RATE) * NEAR + of.cpu


def told(of: Deployment) -> Iterator[str]:
    """The answer, line by line."""
    one, many = night_of(of.records), of.portals
    hours = many * seconds(one) / 3600
    calls = (one.dear * of.dear_price + one.cheap * of.cheap_price) / 1000 * many
    kept = many * (one.delivered + one.state) * of.keep_days / 1e9
    rows: Sequence[tuple[str, float, float, str]] = (
        ("requests to HubSpot", one.general + one.links, (one.general + one.links) * many, ",.0f"),
        ("hours of a worker", seconds(one) / 3600, hours, ",.2f"),
        ("GB of tables", one.delivered / 1e9, one.delivered * many / 1e9, ",.2f"),
        ("GB of state", one.state / 1e9, one.state * many / 1e9, ",.2f"),
        ("GB of Dagster's database", one.database / 1e9, one.database * many / 1e9, ",.2f"),
        ("PUT and LIST of S3", one.dear, one.dear * many, ",.0f"),
        ("GET and HEAD of S3", one.cheap, one.cheap * many, ",.0f"),
        ("dollars for them", calls / many, calls, ",.2f"),
    )
    yield f"{of.portals:,} portals of {of.records:,} records, each night"
    yield ""
    yield f"{'':<26}{'a portal':>12}{'all':>14}"
    for name, each, together, form in rows:
        yield f"{name:<26}{each:>12{form}}{together:>14{form}}"
    yield ""
    workers = ceil(hours / of.window_hours)
    yield f"workers, to be done in {of.window_hours:g} hours: {workers}"
    database = one.database * many * of.keep_runs_days / 1e9
    yield f"Dagster's database, runs of {of.keep_runs_days} days kept: {database:,.0f} GB"
    monthly = kept * of.storage_price
    yield f"the bucket, {of.keep_days} days kept: {kept:,.0f} GB, {monthly:,.0f} dollars a month"
    yield f"calls of S3: {calls * 30:,.0f} dollars a month"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for each in fields(Deployment):
        kind = type(each.default)
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=kind, default=each.default)
    for line in told(Deployment(**vars(parser.parse_args(arguments)))):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
