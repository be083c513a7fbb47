"""Who changed a value: the part of a history entry after its time stamp, as JSON text.

Each begins with the quote that ends the time stamp.
"""

from typing import Any

import orjson


def _source(kind: str, **rest: Any) -> bytes:  # noqa: ANN401 - JSON values
    return b'",' + orjson.dumps({"sourceType": kind, **rest})[1:]


CREATED_BY = (
    _source("API"),
    _source(
        "IMPORT", sourceId="55210033", sourceLabel='contacts, "final".csv', updatedByUserId=9586504
    ),
    _source("FORM", sourceId="3f1c9d52-0a4e-4b7e-9a53-0c2b1f6f7a10", sourceLabel="Contact us"),
    _source("CRM_UI", sourceId="userId:9586505", updatedByUserId=9586505),
    _source("INTEGRATION", sourceId="171820", sourceLabel="Data Sync"),
    _source("CONTACTS", sourceId="CONTACTS"),
)
EDITED_BY = (
    _source("CRM_UI", sourceId="userId:9586504", updatedByUserId=9586504),
    _source("CRM_UI", sourceId="userId:9586506", updatedByUserId=9586506),
    _source(
        "AUTOMATION_PLATFORM",
        sourceId="enrollmentId:1390231;actionExecutionIndex:0",
        sourceLabel="Lead → MQL",
    ),
    _source("INTEGRATION", sourceId="171820", sourceLabel="Data Sync"),
    _source("API", sourceId="171820"),
    _source("EMAIL_INTEGRATION"),
    _source("CRM_UI_BULK_ACTION", sourceId="userId:9586511", updatedByUserId=9586511),
    _source("ANALYTICS", sourceId="WebAnalytics"),
    _source("IMPORT", sourceId="55218811", sourceLabel="update;2.csv", updatedByUserId=9586511),
)
BATCH = _source("BATCH_UPDATE", sourceId="bulk-edit", updatedByUserId=9586504)
FORM = CREATED_BY[2]
ANALYTICS = EDITED_BY[7]
CALCULATED = _source("CALCULATED", sourceId="RollupProperties")
MERGED = _source("CONTACTS", sourceId="merge", updatedByUserId=9586504)
