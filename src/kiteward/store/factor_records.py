"""What the store keeps of second factors, and of sign-ins that wait for one."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TicketRecord:
    """A sign-in to the console whose password was right and whose second factor is still to come.

    Attributes:
        user_name, verified_id, current_id, address, description: as of `SessionRecord`.
        ends_at: until when the second factor may be presented, in seconds since the epoch.
    """

    user_name: str
    verified_id: str
    current_id: str
    address: str
    description: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class FactorRecord:
    """A second factor of a user. It counts from its confirmation on.

    Attributes:
        factor_id: the public id, random.
        user_name: whose it is.
        kind: `totp` or `passkey`, a `FactorKind`.
        label: its name for people.
        created_at: seconds since the epoch.
        confirmed_at: when its user proved to have it, or None.
        used_at: when it was last used, or None.
        sealed: the secret of an authenticator app, sealed; empty for a passkey.
        last_step: the time step of the latest code that was accepted; 0 for none.
        credential_id: the id of a passkey, in base64url; None for an app.
        public_key: the public key of a passkey in COSE form, in base64url.
        sign_count: how often the device says that the passkey was used.
    """

    factor_id: str
    user_name: str
    kind: str
    label: str
    created_at: float
    confirmed_at: float | None = None
    used_at: float | None = None
    sealed: str = field(default="", repr=False)
    last_step: int = 0
    credential_id: str | None = None
    public_key: str = ""
    sign_count: int = 0
