"""Second factors of the console's sign-in, and the tickets and challenges that wait for one, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select, update

from kiteward.store import sign_in_failures
from kiteward.store.change_feed import Changes
from kiteward.store.connections import Rows, WriteTransaction
from kiteward.store.factor_records import FactorRecord, TicketRecord
from kiteward.store.factor_tables import passkey_challenges, recovery_codes, second_factors, sign_in_tickets
from kiteward.store.records import Subject

_factors = second_factors.c
_codes = recovery_codes.c
_tickets = sign_in_tickets.c
_challenges = passkey_challenges.c

_FACTOR: Final = tuple(_factors[field.name] for field in fields(FactorRecord))
_TICKET: Final = tuple(_tickets[field.name] for field in fields(TicketRecord))

_MOST_CHALLENGES: Final = 8
"""The number of challenges of one session or ticket; one more replaces the oldest."""


def of_user(name: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the second factors of a user, the oldest first, unconfirmed ones included."""
    return select(*_FACTOR).where(_factors.user_name == name).order_by(_factors.created_at, _factors.factor_id)


def codes_of(name: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that counts the recovery codes that a user has left."""
    return select(func.count()).select_from(recovery_codes).where(_codes.user_name == name)


def ticket_with(digest: str) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads the ticket of a token, by its digest."""
    return select(*_TICKET).where(_tickets.token_digest == digest)


def factors(rows: Rows) -> list[FactorRecord]:
    """Return what the rows of `of_user` mean."""
    return [FactorRecord(*row) for row in rows]


def tickets(rows: Rows) -> list[TicketRecord]:
    """Return what the rows of `ticket_with` mean."""
    return [TicketRecord(*row) for row in rows]


class Factors:
    """Second factors inside a transaction. What a user has is announced as a change of the user.

    That a factor was used, and tickets and challenges, are not announced: they are read from the store each time.
    """

    def __init__(self, write_transaction: WriteTransaction, changes: Changes) -> None:
        self._write_transaction = write_transaction
        self._changes = changes

    async def of(self, user_name: str) -> Sequence[FactorRecord]:
        """Return the second factors of a user, the oldest first, unconfirmed ones included."""
        return factors(await self._write_transaction.rows(of_user(user_name)))

    async def add(self, factor: FactorRecord) -> None:
        """Add a second factor of an existing user."""
        await self._write_transaction.run(insert(second_factors), asdict(factor))
        if factor.confirmed_at is not None:
            self._changes.add(Subject.USER, factor.user_name)

    async def has_passkey(self, credential_id: str) -> bool:
        """Return whether some user has a passkey of this id, which devices choose at random."""
        found = select(_factors.factor_id).where(_factors.credential_id == credential_id)
        return bool(await self._write_transaction.rows(found))

    async def remove_unconfirmed(self, user_name: str) -> None:
        """Remove the second factors of a user that are not confirmed."""
        unconfirmed = (_factors.user_name == user_name) & _factors.confirmed_at.is_(None)
        await self._write_transaction.run(delete(second_factors).where(unconfirmed))

    async def confirm(self, factor_id: str, user_name: str, *, label: str, step: int, now: float) -> bool:
        """Let the authenticator app of a user count from now on, and return whether there is one to be confirmed.

        Args:
            factor_id: the app, not confirmed yet.
            user_name: the user.
            label: its name for people.
            step: the time step of the code that proved it, which is not accepted again.
            now: seconds since the epoch.
        """
        waiting = (_factors.factor_id == factor_id) & (_factors.user_name == user_name)
        confirmed = update(second_factors).where(waiting, _factors.confirmed_at.is_(None))
        if not await self._write_transaction.run(confirmed.values(confirmed_at=now, last_step=step, label=label)):
            return False
        self._changes.add(Subject.USER, user_name)
        return True

    async def remove(self, factor_id: str, user_name: str) -> bool:
        """Remove a second factor of a user, and return whether it was there."""
        named = (_factors.factor_id == factor_id) & (_factors.user_name == user_name)
        if not await self._write_transaction.run(delete(second_factors).where(named)):
            return False
        self._changes.add(Subject.USER, user_name)
        return True

    async def reset(self, user_name: str) -> None:
        """Remove all second factors of a user with the recovery codes and tickets, and forget earlier failures."""
        for table in (second_factors, recovery_codes, sign_in_tickets, passkey_challenges):
            await self._write_transaction.run(delete(table).where(table.c.user_name == user_name))
        await self.forgive(user_name)
        self._changes.add(Subject.USER, user_name)

    async def forgive(self, user_name: str) -> None:
        """Let earlier failures of a user's second factors no longer count."""
        await self._write_transaction.run(*sign_in_failures.forgiven(sign_in_failures.second_factor_of(user_name)))
        self._changes.add(Subject.FACTOR, user_name)

    async def accept_step(self, factor_id: str, step: int, *, now: float) -> bool:
        """Take note of the time step of a right code, and return whether it is later than all that were accepted."""
        later = (_factors.factor_id == factor_id) & (_factors.last_step < step)
        accepted = update(second_factors).where(later, _factors.confirmed_at.is_not(None))
        return bool(await self._write_transaction.run(accepted.values(last_step=step, used_at=now)))

    async def note_passkey(self, factor_id: str, *, sign_count: int, now: float) -> bool:
        """Take note that a passkey was used, and return whether it is still there."""
        used = update(second_factors).where(_factors.factor_id == factor_id)
        return bool(await self._write_transaction.run(used.values(sign_count=sign_count, used_at=now)))

    async def replace_codes(self, user_name: str, digests: Sequence[str]) -> None:
        """Let these be the recovery codes of a user."""
        await self._write_transaction.run(delete(recovery_codes).where(_codes.user_name == user_name))
        if digests:
            rows = [{"user_name": user_name, "code_digest": digest} for digest in digests]
            await self._write_transaction.run(insert(recovery_codes), rows)

    async def take_code(self, user_name: str, digest: str) -> bool:
        """Remove a recovery code of a user, and return whether it was there."""
        named = (_codes.user_name == user_name) & (_codes.code_digest == digest)
        return bool(await self._write_transaction.run(delete(recovery_codes).where(named)))

    async def put_ticket(self, digest: str, ticket: TicketRecord, *, now: float, most: int) -> None:
        """Store a ticket under the digest of its token. The oldest ones of the user beyond `most`, and old ones, go."""
        await self._write_transaction.run(delete(sign_in_tickets).where(_tickets.ends_at <= now))
        newest = (
            select(_tickets.token_digest)
            .where(_tickets.user_name == ticket.user_name)
            .order_by(_tickets.ends_at.desc(), _tickets.token_digest)
            .limit(most - 1)
        )
        older = (_tickets.user_name == ticket.user_name) & _tickets.token_digest.not_in(newest)
        await self._write_transaction.run(delete(sign_in_tickets).where(older))
        await self._write_transaction.run(insert(sign_in_tickets), {"token_digest": digest, **asdict(ticket)})

    async def take_ticket(self, digest: str) -> bool:
        """Remove the ticket of a token, by its digest, and return whether it was there."""
        return bool(await self._write_transaction.run(delete(sign_in_tickets).where(_tickets.token_digest == digest)))

    async def put_challenge(self, digest: str, user_name: str, holder: str, *, now: float, ends_at: float) -> None:
        """Store a challenge under its digest. Those that have expired, and all but a few of its holder, go."""
        await self._write_transaction.run(delete(passkey_challenges).where(_challenges.ends_at <= now))
        newest = (
            select(_challenges.challenge_digest)
            .where(_challenges.holder == holder)
            .order_by(_challenges.ends_at.desc(), _challenges.challenge_digest)
            .limit(_MOST_CHALLENGES - 1)
        )
        older = (_challenges.holder == holder) & _challenges.challenge_digest.not_in(newest)
        await self._write_transaction.run(delete(passkey_challenges).where(older))
        row = {"challenge_digest": digest, "user_name": user_name, "holder": holder, "ends_at": ends_at}
        await self._write_transaction.run(insert(passkey_challenges), row)

    async def take_challenge(self, digest: str, user_name: str, holder: str, *, now: float) -> bool:
        """Remove a challenge of a user and a holder, and return whether it was there and has not expired."""
        named = (_challenges.challenge_digest == digest) & (_challenges.user_name == user_name)
        valid = (_challenges.holder == holder) & (_challenges.ends_at > now)
        return bool(await self._write_transaction.run(delete(passkey_challenges).where(named & valid)))
