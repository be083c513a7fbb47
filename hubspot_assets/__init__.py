"""hubspot-assets: a HubSpot portal in, a bucket of tables out, every day."""

__version__ = "0.1.0"
