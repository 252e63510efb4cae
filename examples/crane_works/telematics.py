"""The telematics box: a reading per machine and day, late, repeated, lost, sometimes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from examples.crane_works import service_words
from examples.crane_works.accounts import Rows
from examples.crane_works.faults import spoilt
from examples.crane_works.fleet import FUEL, Fleet
from examples.crane_works.names import PROVINCE_CODES
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.systems import DEVICES, READINGS
from examples.crane_works.tables import Table, chosen, where
from examples.crane_works.truth import TRUE_FAULTS
from examples.crane_works.wear import WORKING_SHARE, Failures

LITRES_PER_GALLON = 3.785
DEVICE_SHARE = 0.92
LONGEST_STANDSTILL = 26  # days
STEADINESS = 8.0  # the shape of the gamma distribution of a day's hours
Faults = Iterator[tuple[Table, pa.Table]]


@dataclass(frozen=True)
class Boxes:
    """One block's machines with a box; each array has a value per machine of them.

    Small on purpose: the boxes of all blocks are in memory when readings are written by month.
    """

    block: int
    machine: Array  # its place in the block
    number: Array  # its number in the company
    first: Array
    second: Array  # the device's number after a swap
    swapped: Array  # the day of the swap, infinite for most
    begins: Array
    ends: Array
    gallons: Array
    load: Array
    fuel: Array
    province: Array  # a column per month
    hours: Array  # a column per month
    down_machine: Array
    down_system: Array
    down_from: Array
    down_days: Array
    meter: Array


def draw_boxes(
    parameters: Parameters, block: int, fleet: Fleet, province: Array, failures: Failures
) -> Boxes:
    """Which machines report, with which devices, from when."""
    rng = parameters.generator("boxes", block)
    has = np.flatnonzero(rng.random(len(fleet)) < DEVICE_SHARE)
    place = np.full(len(fleet), -1)
    place[has] = np.arange(len(has))
    count = len(has)
    begins = fleet.delivered[has]
    length = parameters.end_day - parameters.first_day
    swapped = np.where(
        rng.random(count) < parameters.dirt.swapped_devices,
        np.maximum(begins, parameters.first_day) + np.floor(30 + rng.random(count) * length),
        np.inf,
    )
    meets = place[failures.machine] >= 0
    number = fleet.numbers[has]
    age = np.maximum(parameters.first_day - begins, 0)
    return Boxes(
        block=block,
        machine=has,
        number=number,
        first=device_id(number * 2),
        second=device_id(number * 2 + 1),
        swapped=swapped,
        begins=begins,
        ends=fleet.scrapped[has],
        gallons=fleet.imported_device[has],
        load=fleet.load[has].astype(np.float32),
        fuel=FUEL[fleet.model[has]].astype(np.float32),
        province=province[fleet.owner[has]].astype(np.int8),
        hours=fleet.hours[has].astype(np.float32),
        down_machine=place[failures.machine[meets]],
        down_system=failures.system[meets].astype(np.int8),
        down_from=failures.day[meets],
        down_days=failures.down_days[meets],
        meter=np.round(age * 6 * WORKING_SHARE * 0.9, 1),
    )


def device_id(number: Array) -> Array:
    """Fifteen digits."""
    return 860_000_000_000_000 + np.asarray(number, np.int64) * 48_271 % 2_147_483_647


def device_rows(parameters: Parameters, fleet: Fleet, boxes: Boxes) -> Rows:
    """Devices; a swapped one is removed, and another reports for the same machine."""
    serial = fleet.serials.take(pa.array(boxes.machine))
    unit = where(boxes.gallons, "gal", "L")
    swaps = np.isfinite(boxes.swapped)
    removed = np.where(swaps, boxes.swapped, np.nan)
    columns = {
        "device_id": boxes.first,
        "serial_no": serial,
        "installed_at": boxes.begins + 0.5,
        "removed_at": np.full(len(serial), np.nan),
        "fuel_unit": unit,
    }
    yield DEVICES, DEVICES.rows(boxes.begins + 0.5, columns)
    yield DEVICES, DEVICES.rows(boxes.swapped, columns | {"removed_at": removed})
    columns |= {"device_id": boxes.second, "installed_at": removed}
    yield DEVICES, DEVICES.rows(boxes.swapped, columns)


def reading_rows(parameters: Parameters, boxes: Boxes, month: int) -> Faults:
    """The readings that a block's machines take in a month, in the order in which they come in.

    Call it month after month: the boxes' meters go on. Faults come with them.
    """
    rng, dirt = parameters.generator("readings", boxes.block, month), parameters.dirt
    start, end = parameters.month_starts[month : month + 2]
    days = np.arange(start, end)
    alive = (boxes.begins[:, None] <= days) & (boxes.ends[:, None] > days)
    shape = alive.shape
    still, codes = _standstill(rng, boxes, start, shape)
    sunday = (days.astype(np.int64) + 3) % 7 == 6  # 1970-01-01 was a Thursday
    works = alive & ~still & (rng.random(shape) < np.where(sunday, 0.5, WORKING_SHARE + 0.05))
    gamma = rng.standard_gamma(STEADINESS, shape) / STEADINESS
    hours = np.where(works, np.clip(boxes.hours[:, month, None] * gamma, 0, 18), 0)
    meter = np.round(boxes.meter[:, None] + np.cumsum(hours, axis=1), 1)
    boxes.meter[:] = meter[:, -1]

    # From here on a row is a reading: a machine and a day.
    lost = rng.random(shape) < dirt.lost_readings
    machine, day = np.nonzero(alive & ~lost)
    count = len(machine)
    hours, meter = hours[machine, day], meter[machine, day]
    date = days[day]
    load = np.clip(100 * boxes.load[machine] + rng.normal(0, 9, count), 0, 110) * (hours > 0)
    idle = hours * np.clip(rng.normal(0.25, 0.08, count), 0, 0.8)
    fuel = hours * boxes.fuel[machine] * (0.5 + load / 120) + idle * 2
    gallons = boxes.gallons[machine]
    measured = date + (22 + rng.random(count) * 1.9) / 24
    delay = rng.exponential(8 / 1440, count) + 1 / 1440
    late = rng.random(count) < dirt.late_readings
    received = measured + np.where(late, 0.2 + rng.exponential(2.5, count), delay)
    elsewhere = rng.random(len(boxes.number)) < 0.06
    province = np.where(
        elsewhere, rng.integers(0, len(PROVINCE_CODES), len(elsewhere)), boxes.province[:, month]
    )

    # The faults: by machine and month, then by reading.
    minutes = rng.random(len(boxes.number))[machine] < dirt.minutes_for_hours
    stuck = (rng.random(len(boxes.number))[machine] < dirt.stuck_load) & (hours > 0)
    chance = rng.random(count)
    edges = np.cumsum([dirt.impossible_hours, dirt.negative_hours, dirt.wrong_clock])
    kind = np.searchsorted(edges, chance, side="right")
    impossible, negative, clock = (kind == each for each in range(3))
    minutes = minutes & (hours > 0) & ~impossible & ~negative
    shown = np.where(minutes, hours * 60, hours)
    shown = np.where(impossible, 25 + rng.exponential(40, count), shown)
    shown = np.where(negative, -1 - hours, shown)
    shown_at = np.where(clock, measured - 365 * 20, measured)
    no_unit = gallons & (rng.random(count) < dirt.fuel_unit_missing)
    number = boxes.number[machine] * 20_000 + (date - parameters.first_day).astype(np.int64) * 2
    swapped = date >= boxes.swapped[machine]
    unit = where(no_unit, None, where(gallons, "gal", "L"))
    columns = {
        "reading_id": number,
        "device_id": np.where(swapped, boxes.second[machine], boxes.first[machine]),
        "measured_at": shown_at,
        "received_at": received,
        "work_hours": shown,
        "idle_hours": np.where(minutes, idle * 60, idle),
        "hour_meter": meter,
        "load_pct": np.where(stuck, 100, load),
        "fuel": np.where(gallons, fuel / LITRES_PER_GALLON, fuel),
        "fuel_unit": unit,
        "region_code": chosen(PROVINCE_CODES, province[machine]),
        "fault_codes": codes.take(pa.array(machine * shape[1] + day)),
    }
    once = READINGS.rows(received, columns)
    again = np.flatnonzero(rng.random(count) < dirt.duplicate_readings)
    back = received[again] + rng.exponential(0.3, len(again))
    twice = READINGS.rows(
        back,
        columns_at(columns, again)
        | {
            "reading_id": number[again] + 1,
            "received_at": back,
        },
    )
    rows = pa.concat_tables([once, twice])
    arrival = np.concatenate([received, back])
    yield READINGS, rows.take(pa.array(np.argsort(arrival, kind="stable")))
    key = pa.array(number).cast(pa.string())
    for name, which, truth in (
        ("minutes_for_hours", minutes, hours),
        ("impossible_hours", impossible, hours),
        ("negative_hours", negative, hours),
        ("stuck_load", stuck, load),
        ("fuel_unit_missing", no_unit, fuel),
    ):
        yield TRUE_FAULTS, spoilt(READINGS, name, which, key, truth, measured)
    yield TRUE_FAULTS, spoilt(READINGS, "wrong_clock", clock, key, None, measured)
    ids = pa.array(number[again] + 1).cast(pa.string())
    everyone = np.ones(len(again), bool)
    yield TRUE_FAULTS, spoilt(READINGS, "duplicate", everyone, ids, None, back)


def columns_at(columns: dict[str, pa.Array], at: Array) -> dict[str, pa.Array]:
    """These rows of the columns."""
    place = pa.array(at)
    return {
        name: each.take(place) if isinstance(each, pa.Array) else each[at]
        for name, each in columns.items()
    }


def _standstill(
    rng: np.random.Generator, boxes: Boxes, start: float, shape: tuple[int, int]
) -> tuple[Array, pa.Array]:
    """Where machines stand still for repair, and the fault codes of all their days, row by row.

    A code of the failing system shows on half of the five days before, and now and then for
    nothing.
    """
    first = np.floor(boxes.down_from)
    near = np.flatnonzero((first > start - LONGEST_STANDSTILL) & (first < start + shape[1] + 6))
    still = np.zeros(shape, bool)
    code = np.full(shape, -1, np.int16)
    flat = [each for group in service_words.CODES for each in group]
    sizes = np.array([len(group) for group in service_words.CODES])
    begins = np.cumsum(sizes) - sizes
    noise = rng.random(shape) < 0.003
    code[noise] = rng.integers(0, len(flat), int(noise.sum()))
    machine, system = boxes.down_machine[near], boxes.down_system[near]
    which = begins[system] + np.floor(rng.random(len(near)) * sizes[system]).astype(np.int64)
    for offset in range(-5, LONGEST_STANDSTILL):
        day = (first[near] + offset - start).astype(np.int64)
        inside = (day >= 0) & (day < shape[1])
        if offset < 0:
            inside &= rng.random(len(near)) < 0.5
            code[machine[inside], day[inside]] = which[inside]
        else:
            inside &= offset < boxes.down_days[near]
            still[machine[inside], day[inside]] = True
    flat_code = code.ravel()
    return still, where(flat_code >= 0, chosen(flat, np.maximum(flat_code, 0)), None)
