"""Takes people, and any other records, out of what was delivered and what was read.

`people` is who they are, `known` what readings tell to be theirs, `references` what others' rows
say of them. `chunks` and `days` find and rewrite what holds them, `forgetting` puts it together so
that it can be broken off at any moment and gone on with.
"""
