"""What is counted because it is not a row, or a cell, as HubSpot told it, in words.

Readings count some of it and tables the rest, under these names; the manifest has the numbers, and
a warning for each that is not zero. What is only counted to hold the others, or another day,
against is no reason for a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

ARCHIVED_UNTOLD = "archived_records_untold"
CELLS_UNKNOWN = "cells_not_known_as_of_day"
CONTENTS_UNKNOWN = "email_contents_unknown"
ENGAGEMENTS_TWICE = "ids_of_two_engagement_types"
ENTRIES_UNREAD = "history_entries_unread"
EVENTS_REPEATED = "events_repeated"
EVENTS_UNDATED = "events_undated"
LINKS_LEFT_OUT = "links_of_records_left_out"
LINKS_ONE_WAY = "links_of_unknown_inverse"
LINKS_REPEATED = "links_repeated"
LINKS_UNREAD = "links_unread"
LISTS_GONE = "lists_gone_while_reading"
LISTS_OF_ANOTHER_SIZE = "lists_of_another_size"
LISTS_OF_TYPES_REFUSED = "object_types_whose_lists_were_refused"
LISTS_KEPT = "lists_kept"
LISTS_READ = "lists_read"
LISTS_PARTIAL = "lists_not_processed"
LISTS_REFUSED = "lists_refused"
LISTS_REPEATED = "lists_repeated"
LISTS_UNTOLD = "lists_untold"
MEMBERS_LEFT_OUT = "members_left_out"
MEMBERS_SINCE = "members_who_joined_since"
MOMENTS_UNREAD = "moments_unread"
NUMBERS_UNFIT = "numbers_not_in_parquet"
OBJECTS_ALIKE = "objects_alike"
OBJECT_TYPES_UNKNOWN = "object_types_unknown"
PARTS_GONE = "parts_gone_while_reading"
PARTS_REFUSED = "parts_refused"
PROPERTIES_ARCHIVED = "properties_archived_while_reading"
RECIPIENTS_UNKNOWN = "recipients_unknown"
RECORDS_BY_HUBSPOT = "records_by_hubspots_count"
RECORDS_ENDED = "records_ended_on_day"
RECORDS_LIVE = "records_live"
RECORDS_MISSED = "records_missed_by_search"
RECORDS_READ = "records_read"
RECORDS_ARCHIVED = "records_archived_among_live"
RECORDS_UNSEEN = "records_merged_before_they_were_read"
RECORDS_ERASED = "records_erased"
RECORDS_GONE = "records_gone_while_reading"
RECORDS_OF_EARLIER = "records_as_read_before_their_end"
RECORDS_REFUSED = "records_refused"
RECORDS_UNREAD = "records_unread"
ROWS_FORGOTTEN = "rows_forgotten"
SAME_MOMENT = "history_values_of_the_same_moment"
SOURCES_REFUSED = "sources_refused"
TOLD_TWICE = "told_twice"
UNLIKE_HISTORY = "values_unlike_newest_history"
UNPARSED = "values_not_parsed"
VALUES_SET = "values_set"
VALUES_UNTOLD = "values_untold"
VALUES_UNWRITABLE = "values_unwritable"

#: What follows the number. None where the table tells more than a number, in a warning of its own.
SENTENCES: Mapping[str, str | None] = {
    ARCHIVED_UNTOLD: (
        "object types of which HubSpot does not tell archived records: those archived since the "
        "end of the day are missing"
    ),
    CELLS_UNKNOWN: (
        "cells whose value at the end of the day can't be known hold the oldest value "
        "HubSpot retained"
    ),
    CONTENTS_UNKNOWN: (
        "e-mail events have no PROPERTY_HS_EMAIL_META_CONTENT_ID: no marketing e-mail, or more "
        "than one, has their campaign"
    ),
    ENGAGEMENTS_TWICE: "activities had the id of another type's record: one of them is here",
    ENTRIES_UNREAD: (
        "histories, or entries of them, were told in no form of HubSpot's: they are left out"
    ),
    EVENTS_REPEATED: "events that HubSpot told twice are here once",
    EVENTS_UNDATED: "events have no moment that can be read, and so no day: they are left out",
    LINKS_LEFT_OUT: (
        "links are left out: they end at a record that is archived, or younger than the day"
    ),
    LINKS_ONE_WAY: (
        "links are here in one direction alone: what they are from the other side can't be told"
    ),
    LINKS_REPEATED: "links that HubSpot told twice are here once",
    LINKS_UNREAD: "links were told in no form of HubSpot's: they are left out",
    LISTS_GONE: None,
    LISTS_OF_ANOTHER_SIZE: None,
    LISTS_OF_TYPES_REFUSED: None,
    LISTS_PARTIAL: None,
    LISTS_REFUSED: None,
    LISTS_REPEATED: "lists that HubSpot told twice are here once",
    LISTS_UNTOLD: "lists that HubSpot counts are in none of its listings",
    MEMBERS_LEFT_OUT: "members are left out: they are archived, or younger than the day",
    MEMBERS_SINCE: "members are left out: they joined after the day",
    MOMENTS_UNREAD: (
        "dates and times were told in no form of HubSpot's, or not at all: they are NULL, and a "
        "value of a history is left out of it"
    ),
    NUMBERS_UNFIT: (
        "numbers have more than 28 digits, or more than 10 decimals, and are NULL in Parquet: the "
        "CSV has them"
    ),
    OBJECTS_ALIKE: "objects had the id of another one: one of them is here",
    OBJECT_TYPES_UNKNOWN: "events happened to records of a type that the portal does not name",
    PARTS_GONE: "forms, or users, were listed and gone a moment later: nothing of them is here",
    PARTS_REFUSED: (
        "forms, deals, users or object types have nothing here, since HubSpot refused them"
    ),
    PROPERTIES_ARCHIVED: (
        "properties were archived while the records were read: their values may be missing"
    ),
    RECIPIENTS_UNKNOWN: "e-mail events have no OBJECTID: no contact has the address",
    RECORDS_ARCHIVED: "records were listed as live and said that they were archived: left out",
    RECORDS_ERASED: (
        "records that a reading found before are in none of HubSpot's answers: they are missing "
        "since then"
    ),
    RECORDS_GONE: "records were listed and gone a moment later, when they were read",
    RECORDS_OF_EARLIER: (
        "records were merged or erased after the end of the day: they are here as an earlier "
        "reading found them"
    ),
    RECORDS_REFUSED: None,
    RECORDS_UNSEEN: (
        "records were merged into others since the end of the day, before they were read: "
        "they are missing"
    ),
    RECORDS_UNREAD: (
        "records were refused by HubSpot, each asked for alone: they are missing, or as an earlier "
        "reading found them"
    ),
    ROWS_FORGOTTEN: "rows are left out: they are of records that were to be forgotten",
    SAME_MOMENT: "values of histories have the moment of a newer one, which alone is here",
    SOURCES_REFUSED: None,
    TOLD_TWICE: "things that HubSpot told twice are here once, as it told them last",
    UNLIKE_HISTORY: "values differ from the newest of their history, as HubSpot told both",
    UNPARSED: "values that don't read as their property's type are NULL here",
    VALUES_UNTOLD: "entries of histories told no value: it is NULL",
    VALUES_UNWRITABLE: (
        "values hold U+FFFD for a character that no warehouse takes (U+0000, half a surrogate pair)"
    ),
}

#: The same of what is no reason for a warning.
MEASURES: Mapping[str, str] = {
    LISTS_KEPT: "lists kept the members that an earlier reading found",
    LISTS_READ: "lists whose members were read",
    RECORDS_BY_HUBSPOT: "live records by HubSpot's own count, when those that it counts were read",
    RECORDS_ENDED: "records were archived, merged or erased on the day",
    RECORDS_LIVE: "records were live at the end of the day",
    RECORDS_MISSED: (
        "records had changed before the last reading and were not found by search: days since the "
        "last sweep show them as they were"
    ),
    RECORDS_READ: "live records were read of the types whose records HubSpot counts",
    VALUES_SET: "properties of live records were set at the end of the day",
}


_NAMES = SENTENCES.keys() | MEASURES.keys()


def counted(readings: Iterable[Mapping[str, int]]) -> Counter[str]:
    """What readings counted of the above, added up; their other counts are left out."""
    total: Counter[str] = Counter()
    for counts in readings:
        total.update({name: counts[name] for name in counts.keys() & _NAMES})
    return total


def warnings(counts: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each count that is not zero.

    >>> list(warnings({"events_repeated": 2, "values_not_parsed": 0}))
    ['2 events that HubSpot told twice are here once']
    """
    for name, number in sorted(counts.items()):
        if number and (sentence := SENTENCES.get(name)):
            yield f"{number:,} {sentence}"
