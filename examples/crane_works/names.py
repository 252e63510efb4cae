"""Companies' names and how each system spells them, and the numbers that name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from examples.crane_works.parameters import Array
from examples.crane_works.tables import chosen, joined, numbered, where

PROVINCES = (
    "江苏",
    "浙江",
    "山东",
    "广东",
    "河南",
    "四川",
    "湖北",
    "河北",
    "湖南",
    "安徽",
    "辽宁",
    "陕西",
)
PROVINCE_CODES = ("32", "33", "37", "44", "41", "51", "42", "13", "43", "34", "21", "61")
PROVINCE_WEIGHTS = (0.16, 0.13, 0.12, 0.12, 0.09, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.03)
CITIES = (
    *(
        "徐州",
        "苏州",
        "南京",
        "杭州",
        "宁波",
        "温州",
        "济南",
        "青岛",
        "烟台",
        "广州",
        "深圳",
        "佛山",
    ),
    *(
        "郑州",
        "洛阳",
        "新乡",
        "成都",
        "绵阳",
        "宜宾",
        "武汉",
        "宜昌",
        "襄阳",
        "石家庄",
        "唐山",
        "保定",
    ),
    *(
        "长沙",
        "株洲",
        "岳阳",
        "合肥",
        "芜湖",
        "蚌埠",
        "沈阳",
        "大连",
        "鞍山",
        "西安",
        "宝鸡",
        "咸阳",
    ),
)  # three of each province
INDUSTRIES = ("建筑", "租赁", "港口", "风电", "钢铁", "市政")
TRADES = ("建设工程", "起重设备租赁", "港务装卸", "风电安装", "钢结构", "市政工程")
SHORT_TRADES = ("建工", "起重", "港务", "风电", "钢构", "市政")
_FIRST = "恒宏鑫华中金盛泰兴永东海天安瑞顺德隆昌远振新大正广立国信源富嘉润联博凯世三江长丰"
_SECOND = "达业通力源诚和盛建安峰泰龙信发鼎升辉驰腾基固强运祥景合利荣科捷胜宇茂铭卓越伟成明"
_THIRD = ("", "山", "城", "川", "岭", "湖", "桥", "林", "原", "北")
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN = (
    "伟",
    "芳",
    "强",
    "敏",
    "军",
    "磊",
    "洋",
    "勇",
    "艳",
    "杰",
    "涛",
    "明",
    "超",
    "秀英",
    "建国",
)
_CHECK = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PRIME = 999_999_937  # the largest below 10^9: the products below repeat after as many numbers
BRANDS = len(_FIRST) * len(_SECOND) * len(_THIRD)


def brand(index: Array) -> pa.Array:
    """The made-up part of a company's name."""
    index = np.asarray(index, np.int64)
    first, rest = index % len(_FIRST), index // len(_FIRST)
    second, third = rest % len(_SECOND), rest // len(_SECOND)
    return joined(
        chosen(list(_FIRST), first), chosen(list(_SECOND), second), chosen(list(_THIRD), third)
    )


def full_name(city: Array, brand_index: Array, industry: Array) -> pa.Array:
    """As it stands in the register of companies."""
    return joined(chosen(CITIES, city), brand(brand_index), chosen(TRADES, industry), "有限公司")


def spelt(style: Array, city: Array, brand_index: Array, industry: Array) -> pa.Array:
    """One of six spellings: register, brackets, short, spaces, long legal form, city with 市."""
    place, made = chosen(CITIES, city), brand(brand_index)
    trade, short = chosen(TRADES, industry), chosen(SHORT_TRADES, industry)
    spellings = (
        full_name(city, brand_index, industry),
        joined(made, "（", place, "）", trade, "有限公司"),
        joined(place, made, short),
        joined(place, " ", made, trade, "有限公司 "),
        joined(place, made, trade, "有限责任公司"),
        joined(place, "市", made, trade, "有限公司"),
    )
    return pc.choose(pa.array(np.asarray(style, np.int64)), *spellings)


def tax_number(number: Array, province: Array) -> pa.Array:
    """The 18 characters of a company's unified credit code; no two companies share one."""
    number = np.asarray(number, np.int64)
    body = (number * 618_033_989 + 271_828_183) % _PRIME
    return joined(
        "91",
        chosen(PROVINCE_CODES, province),
        "0100",
        numbered("", body, 9),
        chosen(list(_CHECK), number * 7 % len(_CHECK)),
    )


def mistyped(texts: pa.Array, place: Array) -> pa.Array:
    """The texts with the digit at each place replaced by the next one."""
    made = []
    for text, at in zip(texts.to_pylist(), np.asarray(place).tolist(), strict=True):
        at = at % len(text)
        digit = str((int(text[at]) + 1) % 10) if text[at].isdigit() else "0"
        made.append(text[:at] + digit + text[at + 1 :])
    return pa.array(made, pa.string())


def some_mistyped(texts: pa.Array, which: Array, place: Array) -> pa.Array:
    """The texts with a wrong digit where `which` says so."""
    if not np.any(which):
        return texts
    at = np.flatnonzero(which)
    places = np.full(len(texts), -1)
    places[at] = np.arange(len(at))
    wrong = mistyped(texts.take(pa.array(at)), np.asarray(place)[at])
    return where(which, wrong.take(pa.array(np.maximum(places, 0))), texts)


def mobile(number: Array) -> pa.Array:
    """Eleven digits; no two contacts share one."""
    number = np.asarray(number, np.int64)
    body = (number * 654_321_987 + 123_456_789) % _PRIME
    return joined(chosen(("13", "15", "18", "19"), number % 4), numbered("", body, 9))


def phone_written(style: Array, phones: pa.Array) -> pa.Array:
    """A mobile number as people write it: plain, with country code, with dashes, with spaces."""
    first, middle, last = (
        pc.utf8_slice_codeunits(phones, *span) for span in ((0, 3), (3, 7), (7, 11))
    )
    return pc.choose(
        pa.array(np.asarray(style, np.int64)),
        phones,
        joined("+86", phones),
        joined(first, "-", middle, "-", last),
        joined(first, " ", middle, " ", last),
    )


def person(rng: np.random.Generator, count: int) -> pa.Array:
    """Names of people."""
    return joined(
        chosen(list(_SURNAMES), rng.integers(0, len(_SURNAMES), count)),
        chosen(_GIVEN, rng.integers(0, len(_GIVEN), count)),
    )


def drawn(rng: np.random.Generator, weights: Any, count: int) -> Array:
    """Places drawn by weight."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    return np.asarray(np.searchsorted(edges, rng.random(count) * edges[-1], side="right"))
