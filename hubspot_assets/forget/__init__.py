"""Takes people, and any other records, out of what was delivered and what was read.

`people` is who they are, `chunks` and `days` find and rewrite what holds them, `forgetting` puts it
together so that it can be broken off at any moment and gone on with.
"""
