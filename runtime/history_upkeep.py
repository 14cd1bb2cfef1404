"""Ageing one block of one stream's rows, in the cache and in what is noted of them.

**Into a shallower band**: the block is encoded anew in its own places, with null codes above the band's depth; it
attends to the rows before it as they are now, aged before it was. Its keys and values replace the old ones.

**Out of the last band**: the rows behind the block move down over it. The graph takes a row's place in the cache for
its rotary position, so all keys that stay, those of the prefix too, are turned back by as many positions: every two
rows are as far apart as ever, as if the dropped ones were only masked.

Neither touches the rows behind the block otherwise. In layers above the first these hold what they computed when they
saw the block as it was: forgetting is not retroactive, what was heard of a frame while it was fresh lives on in its
successors until they age themselves.
"""

from .backbone import Backbone
from .history_rows import Block, HistoryRows
from .history_shift import turned_back
from .kv_cache import KVCache


def age(block: Block, rows: HistoryRows, row: int, backbone: Backbone, cache: KVCache) -> None:
    """Age a block that is due, of the stream whose rows these are and whose row of the cache this is."""
    length = cache.lengths[row]
    rows.aged(block, length)
    if block.depth:
        part = slice(block.start, block.end)
        backbone.rewrite(row, block.start, rows.text_ids[part], rows.codes[part])
    else:
        cache.drop(row, block.start, block.end - block.start, turned_back)
