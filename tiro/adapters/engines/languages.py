"""Which code a language has that a server calls by its English name."""

from __future__ import annotations

from tiro.adapters.engines.abilities import base
from tiro.model.languages import LANGUAGES

_NAMES = dict(
    pair.split(":")
    for pair in (
        "afrikaans:af amharic:am arabic:ar assamese:as azerbaijani:az bashkir:ba belarusian:be bulgarian:bg bengali:bn tibetan:bo"
        " breton:br bosnian:bs catalan:ca valencian:ca czech:cs welsh:cy danish:da german:de greek:el english:en spanish:es castilian:es"
        " estonian:et basque:eu persian:fa finnish:fi faroese:fo french:fr galician:gl gujarati:gu hausa:ha hawaiian:haw hebrew:he hindi:hi"
        " croatian:hr haitian:ht hungarian:hu armenian:hy indonesian:id icelandic:is italian:it japanese:ja javanese:jw georgian:ka"
        " kazakh:kk khmer:km kannada:kn korean:ko latin:la luxembourgish:lb lingala:ln lao:lo lithuanian:lt latvian:lv malagasy:mg maori:mi"
        " macedonian:mk malayalam:ml mongolian:mn marathi:mr malay:ms maltese:mt myanmar:my burmese:my nepali:ne dutch:nl flemish:nl"
        " nynorsk:nn norwegian:no occitan:oc punjabi:pa panjabi:pa polish:pl pashto:ps pushto:ps portuguese:pt romanian:ro moldavian:ro"
        " russian:ru sanskrit:sa sindhi:sd sinhala:si sinhalese:si slovak:sk slovenian:sl shona:sn somali:so albanian:sq serbian:sr"
        " sundanese:su swedish:sv swahili:sw tamil:ta telugu:te tajik:tg thai:th turkmen:tk tagalog:tl turkish:tr tatar:tt ukrainian:uk"
        " urdu:ur uzbek:uz vietnamese:vi yiddish:yi yoruba:yo cantonese:yue chinese:zh mandarin:zh"
    ).split()
)


def code(language: str | None) -> str | None:
    """`english`, `English`, `en`, `en_us` -> `en`; None for what is not known."""
    if not language:
        return None
    plain = language.strip().lower()
    known = _NAMES.get(plain.split(" ")[0], base(plain))
    return known if known in LANGUAGES else None
