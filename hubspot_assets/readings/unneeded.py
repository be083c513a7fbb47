"""Which readings no day needs any longer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from hubspot_assets.readings.reading import NOTE, READINGS, Name
from hubspot_assets.readings.staging import DAYS
from hubspot_assets.storage.store import Entry, Store


def unneeded(
    state: Store, days_gone: Collection[str] = (), *, versions: bool = False
) -> list[Entry]:
    """The objects of readings that serve no day but `days_gone`, that no other reading is based
    on, and that are not the newest of their source, on which the next one will be.

    One that is unfinished is needed until a later one of its source is complete. With `versions`
    all that the store keeps of the others. Raises StoreError.
    """
    serving: set[tuple[str, Name]] = set()
    for entry in state.list(DAYS):
        _, day, *source, text = entry.path.split("/")
        if day not in days_gone and (name := Name.told(text)):
            serving.add(("/".join(source), name))
    files: dict[tuple[str, Name], list[Entry]] = defaultdict(list)
    for entry in state.list(READINGS, versions=versions):
        _, *source, text, _file = entry.path.split("/")
        if name := Name.told(text):
            files["/".join(source), name].append(entry)
    complete = {of for of, found in files.items() if any(_is_note(each) for each in found)}
    newest = {source: name for source, name in sorted(complete) if not name.of}
    bases = {
        (source, name.on)
        for source, name in complete
        if name.on and ((source, name) in serving or newest.get(source) == name)
    }

    def is_needed(source: str, name: Name) -> bool:
        last = newest.get(source)
        if (source, name) in complete:
            return (source, name) in serving or last == name or (source, name.mark) in bases
        return last is None or last < name

    return [each for of, found in files.items() if not is_needed(*of) for each in found]


def _is_note(entry: Entry) -> bool:
    return entry.path.endswith(f"/{NOTE}") and entry.bytes > 0
