"""Tables are the same wherever the machine is that makes them."""

import pytest


@pytest.fixture(autouse=True, params=["UTC", "Asia/Tokyo", "America/Havana"])
def machine_zone(request, clock_of):
    """The time zone of the machine."""
    clock_of(request.param)
