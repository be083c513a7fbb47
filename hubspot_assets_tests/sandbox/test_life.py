"""The plan itself: what happens to records, and that any moment of it can be replayed."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest

from hubspot_assets.sandbox import Portal, PortalConfig
from hubspot_assets.sandbox.properties import definition
from hubspot_assets.sandbox.stamps import milliseconds

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
CONTACTS = "0-1"


@pytest.fixture(scope="module")
def portal() -> Portal:
    return Portal(PortalConfig(records=1000, now=NOW))


@pytest.mark.parametrize("object_type_id", ["0-1", "0-3", "0-49", "0-136", "2-4410002"])
@pytest.mark.parametrize("days", [0, 1, 37, 400])
def test_an_earlier_history_is_the_later_one_cut_off(
    portal: Portal, object_type_id: str, days: int
) -> None:
    earlier = NOW - timedelta(days=days, hours=3)
    for record_id in islice(portal.live_ids(object_type_id, earlier), 0, None, 7):
        then = portal.record(object_type_id, record_id, earlier, full_history=True)
        later = portal.record(object_type_id, record_id, NOW, full_history=True)
        assert then is not None
        if later is None:
            continue
        cut = {
            name: [entry for entry in entries if entry.timestamp <= earlier]
            for name, entries in later.histories.items()
        }
        assert then.histories == {name: entries for name, entries in cut.items() if entries}
        stamps = [[e.timestamp for e in entries] for entries in then.histories.values()]
        assert all(len(set(each)) == len(each) and each == sorted(each)[::-1] for each in stamps)
        for name, entries in then.histories.items():
            assert then.properties[name] == entries[0].value
        assert then.updated_at <= earlier


@pytest.mark.slow
def test_only_the_newest_values_are_kept(portal: Portal) -> None:
    lengths = {}
    for object_type_id, cap in (("0-1", 45), ("0-2", 20)):
        lengths[object_type_id] = max(
            len(record.histories.get("sync_revision", ()))
            for record_id in portal.live_ids(object_type_id, NOW)
            if (record := portal.record(object_type_id, record_id, NOW))
        )
        assert lengths[object_type_id] == cap


def test_same_seed_same_portal_other_seed_other_portal() -> None:
    def told(seed: int) -> list[object]:
        portal = Portal(PortalConfig(records=50, seed=seed, now=NOW))
        return [
            portal.record(kind.object_type_id, record_id, NOW)
            for kind in portal.object_types()
            for record_id in portal.live_ids(kind.object_type_id, NOW)
        ]

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_ids_and_counts_agree_at_any_moment(portal: Portal) -> None:
    for kind in portal.object_types():
        for days in (0, 5, 500, 1200, 2000):
            at = NOW - timedelta(days=days)
            ids = list(portal.live_ids(kind.object_type_id, at))
            assert ids == sorted(set(ids))
            assert len(ids) == portal.live_count(kind.object_type_id, at)
            life = portal.life(kind.object_type_id)
            for record_id in ids[:20]:
                index = life.index_of(record_id, milliseconds(at))
                assert index is not None
                assert life.record_id(index, milliseconds(at)) == record_id
    before = datetime(2020, 1, 1, tzinfo=UTC)
    assert not list(portal.live_ids(CONTACTS, before))
    full = datetime(2026, 12, 1, tzinfo=UTC)
    assert abs(portal.live_count(CONTACTS, full) - 1000) < 30
    gaps = {b - a for a, b in pairwise(ids)}
    assert len(gaps) != 1


def test_some_types_are_empty_and_some_are_switched_off(portal: Portal) -> None:
    kinds = {kind.object_type_id: kind for kind in portal.object_types()}
    assert portal.live_count("0-85", NOW) == 0
    assert not portal.is_enabled(kinds["0-410"])
    free = Portal(PortalConfig(plan="free"))
    enabled = {kind.object_type_id for kind in free.object_types() if free.is_enabled(kind)}
    assert {"0-1", "0-2", "0-3", "0-5"} <= enabled
    assert not {"0-136", "0-970", "2-4410001"} & enabled


def test_the_modified_date_is_found_without_the_record(portal: Portal) -> None:
    for kind in portal.object_types():
        life = portal.life(kind.object_type_id)
        now = portal.clock.now()
        for index in islice(life.live(now), 150):
            assert life.updated(index, now) == life.record(index, now).updated


def test_all_but_what_hubspot_writes_by_itself_moves_the_modified_date(portal: Portal) -> None:
    by_itself = Counter[bool]()
    for kind in portal.object_types():
        life, told = portal.life(kind.object_type_id), portal.properties(kind.object_type_id)
        read_only = {
            each.number
            for each in told
            if definition(each)["modificationMetadata"]["readOnlyValue"]
        }
        now = portal.clock.now()
        for index in islice(life.live(now), 60):
            if life.merged_into(index, now):
                continue  # its history is that of others, too
            record = life.record(index, now)
            for number, changes in record.history.items():
                for at in (each[0] for each in changes if each[0] > record.created):
                    moved = life.updated(index, at) == at
                    by_itself[moved] += number in read_only
                    assert moved or number in read_only, told[number].name
    assert by_itself[True]
    assert by_itself[False]


def test_nobody_writes_to_an_archived_record(portal: Portal) -> None:
    away = 0
    for kind in portal.object_types():
        life, now = portal.life(kind.object_type_id), portal.clock.now()
        for index in life.live(now):
            if life.restored(index, now) is None:
                continue
            gone, back, *_ = life.turns(index)
            away += 1
            record = life.record(index, now)
            stamps = {each[0] for changes in record.history.values() for each in changes}
            assert not any(gone.at <= at < back.at for at in stamps)
    assert away


@pytest.mark.slow
def test_records_change_every_day_up_to_the_last_minute(portal: Portal) -> None:
    days: Counter[date] = Counter()
    since_midnight = 0
    midnight = NOW.replace(hour=0, minute=0)
    for record_id in portal.live_ids(CONTACTS, NOW):
        record = portal.record(CONTACTS, record_id, NOW)
        assert record is not None
        stamps = {e.timestamp for entries in record.histories.values() for e in entries}
        days.update({stamp.date() for stamp in stamps})
        since_midnight += any(stamp >= midnight for stamp in stamps)
    assert all(days[NOW.date() - timedelta(days=back)] for back in range(60))
    assert since_midnight


def test_ends_of_records(portal: Portal) -> None:
    life, now = portal.life(CONTACTS), portal.clock.now()
    ended = [
        (index, fate)
        for index in range(life.created_count(now))
        if (fate := life.fate(index)) and fate.at <= now
    ]
    assert {fate.kind for _, fate in ended} == {"archived", "merged", "erased"}
    for index, fate in ended:
        assert fate.at > life.created(index)
        at = datetime.fromtimestamp(fate.at / 1000, UTC)
        record_id = life.record_id(index, fate.at)
        seen = portal.record(CONTACTS, record_id, NOW)
        recent = fate.kind == "archived" and NOW - at < timedelta(days=90)
        back = life.restored(index, now) is not None
        assert (seen is not None) == (recent or back)
        assert portal.record(CONTACTS, record_id, at - timedelta(seconds=1)) is not None
        if fate.kind == "merged" and life.is_live(fate.survivor, now):
            survivor = portal.record(CONTACTS, life.record_id(fate.survivor, now), NOW)
            assert survivor is not None
            told = {e.timestamp: e.value for e in survivor.histories["hs_merged_object_ids"]}
            assert str(record_id) in told[at].split(";")
            assert f"{record_id}:{fate.at}" in survivor.properties["hs_calculated_merged_vids"]


@pytest.mark.slow
def test_a_bulk_update_gives_many_records_the_same_millisecond(portal: Portal) -> None:
    stamps = Counter(
        record.histories["data_region"][0].timestamp
        for record_id in portal.live_ids(CONTACTS, NOW)
        if (record := portal.record(CONTACTS, record_id, NOW)) and "data_region" in record.histories
    )
    assert stamps.most_common(1)[0][1] > 500


@pytest.mark.slow
def test_calculated_values_change_behind_the_modified_date(portal: Portal) -> None:
    behind = drifted = 0
    earlier = NOW - timedelta(days=40)
    for record_id in portal.live_ids(CONTACTS, NOW):
        record = portal.record(CONTACTS, record_id, NOW)
        assert record is not None
        rollups = record.histories.get("num_associated_deals")
        behind += bool(rollups and rollups[0].timestamp > record.updated_at)
        then = portal.record(CONTACTS, record_id, earlier)
        if then and then.updated_at == record.updated_at:
            name = "hs_time_since_contact_creation"
            drifted += record.properties[name] != then.properties[name]
            assert name not in record.histories
    assert behind
    assert drifted


@pytest.mark.slow
def test_values_are_as_dirty_as_in_real_portals(portal: Portal) -> None:
    seen: set[str] = set()
    cleared = 0
    for record_id in portal.live_ids(CONTACTS, NOW):
        record = portal.record(CONTACTS, record_id, NOW)
        assert record is not None
        seen |= set(record.properties.values())
        cleared += sum(e[0].value == "" for e in record.histories.values())
    text = "\x00".join(seen)
    for wanted in ("\n", "\r\n", '"', ",", ";", "😀", "مرحبا", "שלום", "67340.0", "12;34", "1.0E7"):
        assert wanted in text
    assert any(value != value.strip() for value in seen)
    assert any(value.isdecimal() and int(value) > 2**53 for value in seen)
    assert cleared


@pytest.mark.slow
def test_a_contact_is_about_as_full_as_in_real_portals(portal: Portal) -> None:
    records = [portal.record(CONTACTS, each, NOW) for each in portal.live_ids(CONTACTS, NOW)]
    filled = sum(len(record.properties) for record in records if record) / len(records)
    values = sum(len(e) for record in records if record for e in record.histories.values())
    assert 55 < filled < 80
    assert 50 < values / len(records) < 110


def test_lean_contacts_fit_a_url() -> None:
    portal = Portal(PortalConfig(contact_properties=120))
    names = [
        p.name
        for p in portal.properties(CONTACTS)
        if not p.archived and p.sensitivity == "non_sensitive"
    ]
    assert len(names) == 120
    assert len(",".join(names)) < 5_000
    wide = Portal(PortalConfig(contact_properties=900))
    assert sum(1 for p in wide.properties(CONTACTS) if not p.archived) >= 900


def test_settings_that_make_no_portal() -> None:
    with pytest.raises(ValueError, match="plan is 'gold'"):
        PortalConfig(plan="gold")
    with pytest.raises(ValueError, match="without a time zone"):
        PortalConfig(now=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="records is -1"):
        PortalConfig(records=-1)


@pytest.mark.slow
def test_what_moves_the_modified_date(portal: Portal) -> None:
    """Calculations now and then, and after a change of stage it moves without any value."""
    by_rollup = without_value = same_again = 0
    for type_id, rollup in (("0-1", "num_associated_deals"), ("0-3", "num_associated_contacts")):
        for record_id in portal.live_ids(type_id, NOW):
            record = portal.record(type_id, record_id, NOW)
            assert record is not None
            stamps = {e.timestamp for entries in record.histories.values() for e in entries}
            entries = record.histories.get(rollup, [])
            by_rollup += record.updated_at in {each.timestamp for each in entries}
            without_value += record.updated_at not in stamps
            same_again += any(a.value == b.value for a, b in pairwise(entries))
    assert by_rollup > 20
    assert without_value > 20
    assert same_again > 100
