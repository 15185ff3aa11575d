"""What the server does and who should be looked at, for administrators, and the collections with their sizes."""

import time
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from kiteward.iam.collection_sizes import size_collections
from kiteward.iam.credential_review import Some, review_credentials
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request, page
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.services import Services
from kiteward.store.records import KeyRecord, UserRecord
from kiteward.telemetry import activity

_MILLISECONDS: Final = 1_000


class ActivityWanted(Arguments):
    """How many of the most frequent refusals to return."""

    limit: int = 10


class ActivitySpan(Outcome):
    """What was counted from `beginsAt` on, for as many seconds.

    `refused` were not allowed: `unauthenticated` of them had no valid credential, and `limited` were beyond a limit of
    requests. `failed` failed though they were allowed and right. `signInsAccepted` and `signInsRejected` count
    credentials that were verified, not those whose verification was cached. `p50`, `p95` and `p99` are milliseconds,
    within which that share of the requests ended, estimated from a histogram; null without requests.
    """

    begins_at: datetime
    seconds: int
    requests: int
    refused: int
    unauthenticated: int
    limited: int
    failed: int
    sign_ins_accepted: int
    sign_ins_rejected: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, span: activity.Span, seconds: int) -> Self:
        """Return a span in the form of a response."""
        numbers = span.numbers
        return cls(
            begins_at=datetime.fromtimestamp(span.begins, UTC),
            seconds=seconds,
            requests=numbers.requests,
            refused=numbers.refused,
            unauthenticated=numbers.unauthenticated,
            limited=numbers.limited,
            failed=numbers.failed,
            sign_ins_accepted=numbers.accepted,
            sign_ins_rejected=numbers.rejected,
            p50=_milliseconds(numbers.quantile(0.5)),
            p95=_milliseconds(numbers.quantile(0.95)),
            p99=_milliseconds(numbers.quantile(0.99)),
        )


class FrequentRefusal(Outcome):
    """How often requests of a user for an operation, on a collection if it names one, were refused in the last day."""

    user_name: str
    operation: str
    db_name: str
    collection_name: str
    count: int


class ServerActivity(Outcome):
    """What the server that answers did, by minutes of the last hour and quarters of an hour of the last day.

    Nothing was counted before `since`. Where several servers or workers share a store, each has its own numbers, and
    `server` says whose these are, and `workers` how many workers that server has. `lastHour` and `lastDay` are the
    sums. `refusals` are of the last 24 hours, and only what privileges did not allow to users, or nobody may do:
    requests without a valid credential, and those beyond a limit, are not among them. `otherRefusals` counts those that
    were too different from one another to be counted apart.
    """

    server: str
    workers: int
    since: datetime
    last_hour: ActivitySpan
    last_day: ActivitySpan
    hour: list[ActivitySpan]
    day: list[ActivitySpan]
    refusals: list[FrequentRefusal]
    other_refusals: int


class ReviewWanted(Arguments):
    """Within how many days keys expire, for how many users and keys were unused, and how many of each to return."""

    expiring_within_days: int = 30
    unused_for_days: int = 90
    limit: int = 10


class ReviewedUser(Outcome):
    """A user."""

    user_name: str
    created_at: datetime | None
    signed_in_at: datetime | None
    locked_at: datetime | None

    @classmethod
    def of(cls, record: UserRecord) -> Self:
        """Return a user in the form of a response."""
        return cls(
            user_name=record.name,
            created_at=moment(record.created_at),
            signed_in_at=moment(record.signed_in_at),
            locked_at=moment(record.locked_at),
        )


class ReviewedKey(Outcome):
    """An API key."""

    key_id: str
    user_name: str
    created_at: datetime | None
    expires_at: datetime | None
    used_at: datetime | None

    @classmethod
    def of(cls, key: KeyRecord) -> Self:
        """Return a key in the form of a response."""
        return cls(
            key_id=key.key_id,
            user_name=key.owner,
            created_at=moment(key.created_at),
            expires_at=moment(key.expires_at),
            used_at=moment(key.used_at),
        )


class ReviewedUsers(Outcome):
    """The first of several users, and how many there are."""

    first: list[ReviewedUser]
    count: int

    @classmethod
    def of(cls, some: Some[UserRecord]) -> Self:
        """Return users in the form of a response."""
        return cls(first=[ReviewedUser.of(each) for each in some.first], count=some.count)


class ReviewedKeys(Outcome):
    """The first of several API keys, and how many there are."""

    first: list[ReviewedKey]
    count: int

    @classmethod
    def of(cls, some: Some[KeyRecord]) -> Self:
        """Return keys in the form of a response."""
        return cls(first=[ReviewedKey.of(each) for each in some.first], count=some.count)


class ReviewedCredentials(Outcome):
    """Users who are locked or unused, and API keys that expire soon or are unused.

    Disabled users and keys, those created since then, and keys of token exchanges do not count as unused.
    """

    locked: ReviewedUsers
    expiring_keys: ReviewedKeys
    unused_users: ReviewedUsers
    unused_keys: ReviewedKeys


class SizesWanted(Arguments):
    """Which collections, and how many, to return: those of one database, or with these names; of all by default."""

    db_name: str = ""
    collection_names: list[str] = msgspec.field(default_factory=list)
    limit: int = 100


class SizedCollection(Outcome):
    """A collection with the number of its rows, as the engine counts them, and the bytes of their dense vectors.

    Both are null where the engine has not reported them in time, or where privileges or row policies keep them from the
    caller (`hidden`). `protected` says whether its row policies are enforced, null for callers who may not view them;
    `description` is null where the engine has not reported it in time.
    """

    db_name: str
    collection_name: str
    rows: int | None
    vector_bytes: int | None
    hidden: bool
    protected: bool | None
    description: str | None


class SizedCollections(Outcome):
    """Collections that the caller may see, and how many there are; null while the engine does not respond."""

    collections: list[SizedCollection]
    count: int | None


async def described(services: Services, _request: Request, arguments: ActivityWanted) -> ServerActivity:
    """Return what the server does."""
    most = page(arguments.limit, more="")
    found = services.activity.sample()
    minutes, quarters = found.minutes(), found.quarters()
    return ServerActivity(
        server=found.server,
        workers=found.workers,
        since=datetime.fromtimestamp(int(found.since), UTC),
        last_hour=ActivitySpan.of(activity.total(minutes), activity.MINUTE * len(minutes)),
        last_day=ActivitySpan.of(activity.total(quarters), activity.QUARTER * len(quarters)),
        hour=[ActivitySpan.of(each, activity.MINUTE) for each in minutes],
        day=[ActivitySpan.of(each, activity.QUARTER) for each in quarters],
        refusals=[
            FrequentRefusal(
                user_name=each.user,
                operation=each.operation,
                db_name=each.database,
                collection_name=each.collection,
                count=count,
            )
            for each, count in services.refusals.top(most)
        ],
        other_refusals=services.refusals.others(),
    )


async def reviewed(services: Services, _request: Request, arguments: ReviewWanted) -> ReviewedCredentials:
    """Return users and keys to look at."""
    found = await review_credentials(
        services,
        time.time(),
        expire_within=arguments.expiring_within_days,
        unused_for=arguments.unused_for_days,
        most=page(arguments.limit, more=""),
    )
    return ReviewedCredentials(
        locked=ReviewedUsers.of(found.locked),
        expiring_keys=ReviewedKeys.of(found.expiring),
        unused_users=ReviewedUsers.of(found.unused_users),
        unused_keys=ReviewedKeys.of(found.unused_keys),
    )


async def sized(services: Services, request: Request, arguments: SizesWanted) -> SizedCollections:
    """Return collections with their sizes."""
    found = await size_collections(
        services,
        request,
        most=page(arguments.limit, more="name a database with `dbName`, or collections with `collectionNames`"),
        database=arguments.db_name,
        names=frozenset(arguments.collection_names),
    )
    return SizedCollections(
        collections=[
            SizedCollection(
                db_name=each.database,
                collection_name=each.name,
                rows=None if each.size is None else each.size.rows,
                vector_bytes=None if each.size is None else each.size.vector_bytes,
                hidden=each.hidden,
                protected=each.protected,
                description=each.description,
            )
            for each in found.collections
        ],
        count=found.count,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _MILLISECONDS, 3)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "DescribeActivity",
        "server/activity",
        ActivityWanted,
        ServerActivity,
        described,
        "Return requests, latencies, refusals and sign-ins of the last hour and day, of the server that answers.",
        changes=False,
    ),
    AdminOperation(
        "ReviewCredentials",
        "access/credentials",
        ReviewWanted,
        ReviewedCredentials,
        reviewed,
        "List users who are locked or unused, and API keys that expire soon or are unused.",
        changes=False,
    ),
    AdminOperation(
        "ListCollectionSizes",
        "collections/sizes",
        SizesWanted,
        SizedCollections,
        sized,
        "List collections with the number of their rows and the size of their vectors.",
        administrators=False,
        changes=False,
    ),
)
