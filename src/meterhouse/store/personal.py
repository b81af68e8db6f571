"""Who somebody is: the one table of names, phones, addresses and identity numbers.

Owns `personal`, the only table that can be erased, and how others join it. Must never know who may
look. Whatever shows people reads the view `personal_masked`, where customers are masked by the
database itself; the few functions here that answer what is behind it are for the flows of
`personal`, of receipts and the outbox alone (a test finds any other SQL that names the table).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import PLATFORM, Connection

STAFF_NAME: Final = "coalesce(staff.name, '')"
"""The name of who was joined by `staff`; empty when the scope does not let it be seen."""


CUSTOMER_SEEN: Final = """((select building_ids()) is null or exists (
    select from agreement sg join agreement_point sp
        on (sp.project_id, sp.agreement_id) = (sg.project_id, sg.id)
    where sg.project_id = c.project_id and sg.customer_id = c.id and sp.valid_to is null
    and seen_point(sp.project_id, sp.point_id)))"""
"""Whether the customer `c` pays in a building that this transaction may see."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of somebody; None is not known."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    id_number: str | None = None


def staff(person_id: str) -> str:
    """The joins that bring the name of the person whose id this column holds."""
    return f"""left join person staff_person on staff_person.id = {person_id}
        left join personal_masked staff
            on (staff.project_id, staff.id) = ({PLATFORM}, staff_person.personal_id)"""


async def insert(connection: Connection, project_id: int, facts: Facts) -> int:
    """Keep who somebody is; answers the id by which everything else knows them."""
    made: int = await connection.fetchval(
        """insert into personal (project_id, name, phone, email, id_number)
           values ($1, $2, $3, $4, $5) returning id""",
        project_id, facts.name, facts.phone, facts.email, facts.id_number,
    )  # fmt: skip
    return made


async def insert_many(
    connection: Connection, project_id: int, people: Sequence[Facts]
) -> list[int]:
    """Keep who several people are; answers their ids in the order given."""
    rows = await connection.fetch(
        """insert into personal (project_id, name, phone, email, id_number)
           select $1, name, phone, email, id_number
           from unnest($2::text[], $3::text[], $4::text[], $5::text[])
               with ordinality as u (name, phone, email, id_number, n) order by n returning id""",
        project_id, [one.name for one in people], [one.phone for one in people],
        [one.email for one in people], [one.id_number for one in people],
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def of_customer(
    connection: Connection, project_id: int, customer_id: int
) -> asyncpg.Record | None:
    """name, phone, email, id_number, erased_at, version of a customer, unmasked."""
    return await connection.fetchrow(
        f"""select h.name, h.phone, h.email, h.id_number, h.erased_at, h.version
           from customer c join personal h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where c.project_id = $1 and c.id = $2 and {CUSTOMER_SEEN}""",
        project_id, customer_id,
    )  # fmt: skip


async def change(connection: Connection, project_id: int, customer_id: int, facts: Facts) -> bool:
    """What is said anew of a customer; None stays as it is. False when it was erased."""
    done = await connection.fetchval(
        """update personal h set name = coalesce($3, h.name), phone = coalesce($4, h.phone),
               email = coalesce($5, h.email), id_number = coalesce($6, h.id_number),
               version = h.version + 1
           from customer c where c.project_id = $1 and c.id = $2
           and (h.project_id, h.id) = (c.project_id, c.personal_id) and h.erased_at is null
           returning h.id""",
        project_id, customer_id, facts.name, facts.phone, facts.email, facts.id_number,
    )  # fmt: skip
    return done is not None


async def erase(connection: Connection, project_id: int, customer_id: int, at: datetime) -> bool:
    """Overwrite all that is known of a customer, and what was written to them.

    Bookings stay: they know an id that now leads to nobody. False when it was done before.
    """
    done = await connection.fetchval(
        """update personal h set name = null, phone = null, email = null, id_number = null,
               erased_at = $3, version = h.version + 1
           from customer c where c.project_id = $1 and c.id = $2
           and (h.project_id, h.id) = (c.project_id, c.personal_id) and h.erased_at is null
           returning h.id""",
        project_id, customer_id, at,
    )  # fmt: skip
    await connection.execute(
        """update notice set subject = '', text = '',
               state = case state when 'queued' then 'failed' else state end,
               why = case state when 'queued' then 'erased' else why end
           where project_id = $1 and customer_id = $2""",
        project_id, customer_id,
    )  # fmt: skip
    return done is not None


async def of_staff(connection: Connection, person_id: int) -> asyncpg.Record | None:
    """login, language, name, email, erased_at of somebody of staff, and the e-mail `masked`."""
    return await connection.fetchrow(
        """select p.login, p.language, h.name, h.email, h.erased_at, m.email as masked
           from person p join personal h on (h.project_id, h.id) = ($2, p.personal_id)
           join personal_masked m on (m.project_id, m.id) = (h.project_id, h.id)
           where p.id = $1 and p.kind = 'staff'""",
        person_id, PLATFORM,
    )  # fmt: skip


async def set_staff_email(connection: Connection, person_id: int, email: str | None) -> None:
    """Where somebody of staff is reached from now on; None: nowhere."""
    await connection.execute(
        """update personal h set email = $3, version = h.version + 1 from person p
           where p.id = $1 and p.kind = 'staff' and (h.project_id, h.id) = ($2, p.personal_id)""",
        person_id, PLATFORM, email,
    )  # fmt: skip


async def change_staff(
    connection: Connection, person_id: int, name: str | None, email: str | None
) -> None:
    """What is said anew of staff or a program; None stays as it is. Who was erased stays so."""
    await connection.execute(
        """update personal h set name = coalesce($3, h.name), email = coalesce($4, h.email),
               version = h.version + 1
           from person p where p.id = $1 and h.erased_at is null
           and (h.project_id, h.id) = ($2, p.personal_id)""",
        person_id, PLATFORM, name, email,
    )  # fmt: skip


async def erase_staff(connection: Connection, person_id: int, at: datetime) -> bool:
    """Overwrite all that is known of somebody of staff; False when it was done before."""
    done = await connection.fetchval(
        """update personal h set name = null, phone = null, email = null, id_number = null,
               erased_at = $3, version = h.version + 1
           from person p where p.id = $1 and p.kind = 'staff' and h.erased_at is null
           and (h.project_id, h.id) = ($2, p.personal_id) returning h.id""",
        person_id, PLATFORM, at,
    )  # fmt: skip
    return done is not None
