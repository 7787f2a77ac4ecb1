"""Money that an account credits itself, where its operator allows that."""

from __future__ import annotations

from litestar import post
from litestar.handlers import HTTPRouteHandler

from api.body import read_json
from api.config import ApiConfig
from api.dialects.transcribe import translate
from api.dialects.transcribe.door import Door
from api.faces import Answer, HttpRequest, json_answer
from tiro.model.errors import Invalid
from tiro.services.house import House


class Funds:
    """POST /v1/add-funds."""

    def __init__(self, house: House, config: ApiConfig, door: Door) -> None:
        self._house = house
        self._limits = config.limits
        self._door = door

    def handlers(self) -> list[HTTPRouteHandler]:
        return [post("/v1/add-funds", status_code=200)(self.add)]

    async def add(self, request: HttpRequest) -> Answer:
        account, key = await self._door.enter(request)
        asked = translate.top_up_of(await read_json(request, self._limits))
        try:
            done = await self._house.wallets.top_up(
                account.account_id, key.key_id, asked.amount, asked.if_balance_below
            )
        except Invalid as wrong:
            raise Invalid("invalid_request_options", wrong.message, **wrong.extras) from None
        return json_answer(translate.topped_up(done.balance))
