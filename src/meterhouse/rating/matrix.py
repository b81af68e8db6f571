"""The dense kernel: many meters over the same slots of one period, for replay and what-if.

Owns one tight loop over a matrix of energies. Must never know a calendar: whoever calls it has cut
time into slots that no edge divides, and begins anew where the blocks do. Its amounts are those of
`kernel.rate_intervals` under the chronological rule; it is apart because it is fast for a reason
of its own, said at the loop.
"""

import numpy as np

from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import ArraysDisagree, Ints, ints, jit
from meterhouse.units import PRICE_MICRO_MAX, REGISTER_MILLI_MAX

# Slots are added up this many at a time.
_TILE = 64
# All the bits one energy may have; the bound of an interval, 10⁹, lies below.
_SLOT_MILLI_MAX = (1 << 30) - 1


def rate_matrix(
    energy_milli: Ints, band_of_slot: Ints, price_micro: Ints, limit_milli: Ints, block_milli: Ints
) -> Ints:
    """Rate M meters over T equal slots of one period of one version; the dense kernel of replay.

    Args:
        energy_milli: int64[M, T], each below 2³⁰.
        band_of_slot: int64[T], 0..B−1.
        price_micro: int64[B, K].
        limit_milli: int64[K − 1], ascending.
        block_milli: int64[M], energy used in the period before the first slot.

    Returns:
        int64[M], the amount of each meter in Nano, chronological fill.

    Raises:
        OutOfRange: an element, or a meter's whole energy times the highest price, is beyond bounds.
        ArraysDisagree: shapes do not fit.
    """
    (meters, slots), (bands, blocks) = energy_milli.shape, price_micro.shape
    price_micro = ints("price_micro", price_micro, (bands, blocks), 0, PRICE_MICRO_MAX)
    limit_milli = ints("limit_milli", limit_milli, (blocks - 1,), 0, REGISTER_MILLI_MAX)
    block_milli = ints("block_milli", block_milli, (meters,), 0, REGISTER_MILLI_MAX)
    band_of_slot = ints("band_of_slot", band_of_slot, (slots,), 0, bands - 1)
    if energy_milli.dtype != np.int64:
        raise ArraysDisagree("energy_milli", energy_milli.shape, "a matrix of int64")
    energy_milli = np.require(energy_milli, requirements=["C", "A", "W"])
    price_of_slot = np.ascontiguousarray(price_micro[band_of_slot].T)
    amount_nano = np.empty(meters, np.int64)
    total_max_milli = (2**63 - 1) // max(int(price_micro.max()), 1)
    beyond = _rate_dense(
        energy_milli, price_of_slot, limit_milli, block_milli, total_max_milli, amount_nano
    )
    if beyond >= 0:
        row = ints("energy_milli", energy_milli[beyond], (slots,), 0, _SLOT_MILLI_MAX)
        raise OutOfRange(f"energy of meter {beyond}", int(row.sum()), 0, total_max_milli)
    return amount_nano


@jit
def _rate_dense(
    energy_milli: Ints, price_of_slot: Ints, limit_milli: Ints, block_milli: Ints,
    total_max_milli: int, amount_nano: Ints,
) -> int:  # fmt: skip
    """Fill `amount_nano`; the first meter whose energy is beyond bounds, or −1.

    Slots go in tiles: a tile that ends in the block where it began is a plain product of two
    rows, which the processor does several slots at a time; only a tile that crosses a limit is
    walked slot by slot. The bits of all energies are gathered on the way, so that checking each
    of them costs no second pass over memory.
    """
    meters, slots = energy_milli.shape
    last = len(limit_milli)
    for meter in range(meters):
        start_milli = used_milli = block_milli[meter]
        nano, block, bits, slot = 0, 0, 0, 0
        while slot < slots:
            while block < last and used_milli >= limit_milli[block]:
                block += 1
            after = min(slot + _TILE, slots)
            tile_milli, tile_nano = 0, 0
            for each in range(slot, after):
                energy = energy_milli[meter, each]
                bits |= energy
                tile_milli += energy
                tile_nano += energy * price_of_slot[block, each]
            if block == last or used_milli + tile_milli <= limit_milli[block]:
                used_milli += tile_milli
                nano += tile_nano
                slot = after
                continue
            for each in range(slot, after):
                rest_milli = energy_milli[meter, each]
                while block < last and used_milli + rest_milli > limit_milli[block]:
                    part_milli = limit_milli[block] - used_milli
                    nano += part_milli * price_of_slot[block, each]
                    used_milli += part_milli
                    rest_milli -= part_milli
                    block += 1
                used_milli += rest_milli
                nano += rest_milli * price_of_slot[block, each]
            slot = after
        if bits < 0 or bits > _SLOT_MILLI_MAX or used_milli - start_milli > total_max_milli:
            return meter
        amount_nano[meter] = nano
    return -1
