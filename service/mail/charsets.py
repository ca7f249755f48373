"""Character sets of mail: names as mails write them, and decoding that never raises.

Only these are decoded. Python knows more codecs, of which some take quadratic time (punycode, idna), execute escapes
(unicode_escape), always fail (undefined), or transform bytes (rot13, zlib), and it keeps every unknown name in memory.
"""

from collections.abc import Mapping
from encodings.aliases import aliases

#: Python's codecs for the character sets of IANA's registry that mails use, by the names of their modules.
_CODECS = frozenset(
    {
        "ascii", "utf_8", "utf_7", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le",
        "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
        "iso8859_9", "iso8859_10", "iso8859_11", "iso8859_13", "iso8859_14", "iso8859_15", "iso8859_16",
        "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
        "cp437", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860", "cp861", "cp862", "cp863",
        "cp864", "cp865", "cp866", "cp869", "cp874", "koi8_r", "koi8_u", "koi8_t", "kz1048", "ptcp154",
        "mac_roman", "mac_cyrillic", "mac_greek", "mac_latin2", "mac_turkish", "tis_620",
        "shift_jis", "shift_jis_2004", "shift_jisx0213", "cp932", "euc_jp", "euc_jis_2004", "iso2022_jp",
        "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3", "iso2022_jp_ext",
        "gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp950", "euc_kr", "cp949", "johab", "iso2022_kr",
    }
)  # fmt: skip
#: Names that mails use and Python does not know.
_OTHER_NAMES = {
    "unicode_1_1_utf_7": "utf_7",
    "x_sjis": "cp932",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gbk",
    "x_mac_roman": "mac_roman",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "ansi_x3_110_1983": "latin_1",
    "unknown_8bit": "latin_1",
    "windows_874": "cp874",
    "cp_850": "cp850",
}
_CODEC_BY_NAME: Mapping[str, str] = {
    **{codec: codec for codec in _CODECS},
    **{name: codec for name, codec in aliases.items() if codec in _CODECS},
    **_OTHER_NAMES,
}
_LONGEST_NAME = 40
#: Of these a text is mostly legible although single octets are wrong.
_TOLERANT = ("utf", "iso2022", "shift", "euc", "gb", "big5", "cp932", "cp949", "cp950", "hz")


def decode(data: bytes, charset: str = "") -> str:
    """Decode a text; where the character set is unknown or wrong, as UTF-8, then as Latin-1, which decodes anything.

    The result has no lone surrogates, so that it can be encoded.
    """
    codec = codec_of(charset)
    for name in (codec, "utf_8"):
        if name is not None:
            try:
                return _encodable(data.decode(name))
            except UnicodeError:
                continue
    if codec is not None and codec.startswith(_TOLERANT):
        return _encodable(data.decode(codec, "replace"))
    return data.decode("latin-1")


def codec_of(charset: str) -> str | None:
    """Return Python's name of a character set, None for one that is not in the list."""
    name = charset[: _LONGEST_NAME * 2].strip("\"' \t").lower()
    if len(name) > _LONGEST_NAME or not name.isascii():
        return None
    return _CODEC_BY_NAME.get("".join(letter if letter.isalnum() else "_" for letter in name).strip("_"))


def _encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-7 can spell."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
