"""The list of who did what, with what each entry's object is called today.

Owns the questions of the audit's page; the entries themselves are `audit`'s. A name is looked up
when it is read, because an entry names its object by number alone.
"""

from typing import Final

from meterhouse.store.db import PLATFORM
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

# The room an entry is about, where its object lies in one.
_OBJECT_ROOM: Final = r"""coalesce(substring(e.object from '^room:(\d{1,18})$')::int8,
        (select x.place_id from point x where x.project_id = e.project_id
            and x.id = substring(e.object from '^point:(\d{1,18})$')::int8),
        (select x.place_id from meter y join point x
            on (x.project_id, x.id) = (y.project_id, y.point_id)
            where y.project_id = e.project_id
            and y.id = substring(e.object from '^meter:(\d{1,18})$')::int8))"""
# What an entry's object is called today; null for what is gone, or is known by its number alone.
_OBJECT_ID: Final = r"substring(e.object from '^\w+:(\d{1,18})$')::int8"
_OBJECT_NAME: Final = f"""case split_part(e.object, ':', 1)
    when 'meter' then (select x.address from meter x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'gateway' then (select x.name from gateway x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'tariff' then (select x.name from tariff x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'payee' then (select x.name from payee x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'place' then (select x.name from place x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'room' then (select x.name from place x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'point' then (select y.name from point x
        join place y on (y.project_id, y.id) = (x.project_id, x.place_id)
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'project' then (select x.name from project x where x.id = {_OBJECT_ID})
    when 'group' then (select x.name from project_group x where x.id = {_OBJECT_ID})
    when 'person' then (select coalesce(y.name, x.login) from person x
        left join personal_masked y on (y.project_id, y.id) = ({PLATFORM}, x.personal_id)
        where x.id = {_OBJECT_ID})
    end"""
LIST: Final = ListQuery(
    f"""select e.id, e.at, e.actor_id, {STAFF_NAME} as actor, e.via, e.act, e.verb, e.object,
            e.before, e.after, e.reason, e.request_id, {_OBJECT_ROOM} as room_id,
            {_OBJECT_NAME} as object_name,
            case when e.object like 'person:%' then
                (select x.kind from person x where x.id = {_OBJECT_ID}) end as person_kind,
            e.id <= coalesce((select max(last_id) from audit_seal where project_id = $1), 0)
                as is_sealed
        from audit_entry e {staff("e.actor_id")}
        where e.project_id = $1""",
    {
        "person": "q.actor ilike {}",
        "actor": "q.actor_id = {}",
        "act": "q.act = {}",
        "object": "q.object ilike {}",
        "from": "q.at >= {}",
        "to": "q.at < {}",
    },
    {"at": "at", "actor": "actor", "act": "act", "object": "object"},
    first="-at",
    solid=frozenset({"at", "actor", "act", "object"}),
    point="null::int8",
)  # fmt: skip
