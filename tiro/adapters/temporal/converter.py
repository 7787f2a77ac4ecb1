"""How our structs travel in Temporal payloads: as plain JSON, by msgspec, so that the UI and the CLI can show them."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)


class MsgspecPayloadConverter(EncodingPayloadConverter):
    """json/plain; msgspec structs (also inside tuples and dicts) both ways, everything else as Temporal does it."""

    def __init__(self) -> None:
        self._plain = JSONPlainPayloadConverter()

    @property
    def encoding(self) -> str:
        return self._plain.encoding

    def to_payload(self, value: Any) -> Payload | None:
        try:
            data = msgspec.json.encode(value)
        except TypeError:
            return self._plain.to_payload(value)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        if type_hint is None or dataclasses.is_dataclass(type_hint):
            return self._plain.from_payload(payload, type_hint)
        return msgspec.json.decode(payload.data, type=type_hint)


class _Composite(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(
            *(
                MsgspecPayloadConverter() if converter.encoding == "json/plain" else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


DATA_CONVERTER = DataConverter(payload_converter_class=_Composite)
