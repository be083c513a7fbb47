"""Things that are made one after the other while the portal lives: ids, moments and draws, each a
pure function of an index. All moments are epoch milliseconds."""

from dataclasses import dataclass

from hubspot_assets.sandbox.population import SPAN, START
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix, text_number

#: From the first record to the end of 2026.
_LASTS = SPAN + 30 * DAY


@dataclass(frozen=True, slots=True)
class Series:
    """`count` things called `name`; ids begin with `first_id` and lie about `id_step` apart."""

    name: str
    count: int
    seed: int
    first_id: int
    id_step: int

    def draw(self, index: int, turn: int = 0) -> int:
        """64 bits of a thing."""
        return mix(mix(text_number(f"{self.seed}/{self.name}") + index * GOLDEN) + turn)

    def id(self, index: int) -> int:
        """Ascending with the index, with gaps."""
        return self.first_id + index * self.id_step + self.draw(index, 1) % self.id_step

    def made(self, index: int) -> int:
        """When it is made; ascending with the index."""
        jitter = self.draw(index, 2) & 0xFFFF
        return START + (index * _LASTS + (jitter * _LASTS >> 16)) // self.count
