"""Can everybody read by which keys our webhooks are signed, in the forms that libraries read?"""

from __future__ import annotations

import asyncio
import base64

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.servers.api import Api
from tiro.sign import KEY_SCHEMES

PATH = "/.well-known/transcribeapi-webhook-keys.json"


async def anybody(api: Api) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=api.url, trust_env=False) as http:
        return await http.get(PATH)


@pytest.mark.promise("T28")
async def test_the_document_is_for_everybody_and_may_be_kept_for_minutes(api: Api) -> None:
    answer = await anybody(api)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert {name: value for name, value in key.items() if name not in {"x", "public_key_pem"}} == {
        "kid": "v1",
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
    }


@pytest.mark.promise("T28")
async def test_both_forms_are_the_key_that_signs(api: Api) -> None:
    (shown,) = (await anybody(api)).json()["keys"]
    key_id, private = await api.house.signing.signer()
    body = b'{"type":"transcription.completed"}'
    headers = KEY_SCHEMES["transcribe"](key_id, private, body, api.house.clock.now())
    assert headers["X-TranscribeAPI-Key-Id"] == shown["kid"]
    signature = base64.b64decode(headers["X-TranscribeAPI-Signature"], validate=True)
    signed = headers["X-TranscribeAPI-Timestamp"].encode() + b"." + body
    pem = load_pem_public_key(shown["public_key_pem"].encode())
    assert isinstance(pem, Ed25519PublicKey)
    for public in (pem, Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(shown["x"] + "="))):
        public.verify(signature, signed)


@pytest.mark.promise("T28")
async def test_first_readers_at_once_read_one_key(api: Api) -> None:
    answers = await asyncio.gather(*(anybody(api) for _ in range(20)))
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.promise("T28")
async def test_a_next_key_is_published_and_no_private_half_is(api: Api) -> None:
    await api.house.signing.prepare()
    answer = await anybody(api)
    assert [key["kid"] for key in answer.json()["keys"]] == ["v1", "v2"]
    _, private = await api.house.signing.signer()
    assert base64.urlsafe_b64encode(private).rstrip(b"=") not in answer.content
    assert '"d"' not in answer.text


async def test_an_address_beside_it_is_nothing(api: Api) -> None:
    answer = await api.http.get("/.well-known/anything")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
