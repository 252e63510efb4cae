"""Parts of the keys that nothing ties together at any time: each has a history of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tagline.identity.standing import Span

if TYPE_CHECKING:
    import pyarrow

_BATCH = 50_000  # spans held in memory at once, or one component if it has more


def components(spans: pyarrow.Table) -> Any:
    """The number of the component that each span lies in, as an array of integers.

    Keys that share a tie are in one component, whenever each of them is tied; so are keys that
    were taken apart.
    """
    import numpy
    import pyarrow
    import pyarrow.compute as compute
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not spans.num_rows:
        return numpy.empty(0, numpy.int32)
    keys = spans["key"].combine_chunks()
    is_apart = compute.equal(spans["what"], "apart")
    others = spans.filter(is_apart)["shown"].combine_chunks()
    coded = pyarrow.concat_arrays([keys, others]).dictionary_encode()
    codes = coded.indices.to_numpy()
    of_span, of_other = codes[: len(keys)], codes[len(keys) :]
    is_tie = compute.equal(spans["what"], "tie")
    tied = spans.filter(is_tie)
    names = compute.binary_join_element_wise(
        compute.cast(tied["rule"], pyarrow.string()), tied["label"], ":"
    )
    labels = names.combine_chunks().dictionary_encode().indices.to_numpy()
    count = len(coded.dictionary)
    size = count + (int(labels.max()) + 1 if len(labels) else 0)
    apart, tie = (each.to_numpy(zero_copy_only=False) for each in (is_apart, is_tie))
    rows = numpy.concatenate([of_span[tie], of_span[apart]])
    columns = numpy.concatenate([labels + count, of_other])
    graph = coo_array((numpy.ones(len(rows), numpy.int8), (rows, columns)), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    return found[of_span]


def batches(spans: pyarrow.Table, size: int = _BATCH) -> Iterator[list[Span]]:
    """The spans of some whole components at a time; `spans` are in order of `component`."""
    import numpy

    numbers = spans["component"].to_numpy()
    if not len(numbers):
        return
    ends = [*(numpy.flatnonzero(numpy.diff(numbers)) + 1).tolist(), len(numbers)]
    first = 0
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or following - first > size:
            part = spans.slice(first, end - first)
            columns = (part[name].to_pylist() for name in Span._fields)
            yield [Span(*row) for row in zip(*columns, strict=True)]
            first = end
