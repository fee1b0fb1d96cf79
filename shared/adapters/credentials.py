"""Keep the tokens of a run as ciphertext, for as short a time as possible.

Envelope encryption: KMS gives a data key under the encryption context (run, role), AES-256-GCM seals the token with the
same context as associated data. A ciphertext moved to another run or role opens for nobody.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, override

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.adapters.dynamodb import keys
from shared.domain.bounds import MAX_TOKEN_BYTES
from shared.domain.errors import CredentialsExpiredError, InvalidRequestError, NotFoundError
from shared.domain.ports.runs import Credentials, KeptToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_kms.client import KMSClient

#: No run lasts as long; whatever happens to it, its tokens are gone then.
MAX_LIFETIME_S = 7 * 24 * 3600
ROLES = ("caller", "source", "target")

# NIST SP 800-38D: a 96-bit nonce; each data key seals one token only.
_NONCE_BYTES = 12
# How KMS refuses a wrong context, an altered data key, or one of another key.
_CANNOT_OPEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class CredentialsStore(Credentials):
    """Tokens by run and role (`caller`, `source` or `target`).

    Args:
        table: CredentialsTable.
        kms: KMS client.
        key_id: the key that wraps the data keys.
        clock: epoch seconds.
    """

    def __init__(self, table: Table, kms: KMSClient, key_id: str, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._kms = kms
        self._key_id = key_id
        self._clock = clock

    @override
    def put(self, run_id: str, role: str, token: str, expires_at: int | None) -> None:
        plaintext = token.encode()
        if len(plaintext) > MAX_TOKEN_BYTES:
            raise InvalidRequestError(f"A token of at most {MAX_TOKEN_BYTES:,} bytes is expected.")
        context = encryption_context(run_id, role)
        data_key = self._kms.generate_data_key(KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=context)
        nonce = os.urandom(_NONCE_BYTES)
        longest = int(self._clock()) + MAX_LIFETIME_S
        until = longest if expires_at is None else min(int(expires_at), longest)
        self._table.put_item(
            Item={
                **keys.credentials(run_id, role),
                "data_key": data_key["CiphertextBlob"],
                "nonce": nonce,
                "ciphertext": AESGCM(data_key["Plaintext"]).encrypt(nonce, plaintext, _associated_data(context)),
                "token_expires_at": until,
                "expires_at": until,
            }
        )

    @override
    def get(self, run_id: str, role: str) -> str:
        return self.get_kept(run_id, role).token

    @override
    def get_kept(self, run_id: str, role: str) -> KeptToken:
        item: dict[str, Any] | None = self._table.get_item(Key=keys.credentials(run_id, role), ConsistentRead=True).get(
            "Item"
        )
        if item is None:
            raise NotFoundError(f"Run {run_id} has no credentials for its {role} side.")
        if int(item["expires_at"]) <= self._clock():
            raise CredentialsExpiredError(f"The credentials of run {run_id} for its {role} side have expired.")
        context = encryption_context(run_id, role)
        try:
            data_key = self._kms.decrypt(
                CiphertextBlob=bytes(item["data_key"]), KeyId=self._key_id, EncryptionContext=context
            )
            opened = AESGCM(data_key["Plaintext"]).decrypt(
                bytes(item["nonce"]), bytes(item["ciphertext"]), _associated_data(context)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CANNOT_OPEN:
                raise
            raise CredentialsExpiredError(f"The credentials of run {run_id} cannot be opened.") from None
        except InvalidTag:
            raise CredentialsExpiredError(f"The credentials of run {run_id} cannot be opened.") from None
        return KeptToken(opened.decode(), int(item["expires_at"]))

    @override
    def limit(self, run_id: str, until: int) -> None:
        for role, item in self._items(run_id):
            until_this = min(int(str(item["token_expires_at"])), int(until))
            self._table.update_item(
                Key=keys.credentials(run_id, role),
                UpdateExpression="SET expires_at = :until",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":until": until_this},
            )

    @override
    def delete(self, run_id: str) -> None:
        for role in ROLES:
            self._table.delete_item(Key=keys.credentials(run_id, role))

    def _items(self, run_id: str) -> list[tuple[str, dict[str, Any]]]:
        found = (
            (role, self._table.get_item(Key=keys.credentials(run_id, role), ConsistentRead=True).get("Item"))
            for role in ROLES
        )
        return [(role, item) for role, item in found if item is not None]


def encryption_context(run_id: str, role: str) -> dict[str, str]:
    """Return the context under which a token of a run is sealed; the template grants the key's use under no other."""
    return {"run": run_id, "role": role}


def _associated_data(context: dict[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True).encode()
