"""How files become packs, why a batch cannot begin, and what its end is called: pure parts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tiro.model.batch import (
    MAX_BYTES,
    MAX_FILES,
    BatchFile,
    ManifestEntry,
    ManifestIndex,
    end_of,
    fault_of,
    page_files,
    pages_of,
)
from tiro.model.pack import PACK_FILES, PACK_S, Packing, chunks_of, pack_name

LENGTHS = some.floats(0.01, PACK_S, allow_nan=False)


@given(some.lists(LENGTHS, max_size=120))
def test_every_file_is_in_one_pack_and_no_pack_is_too_large(lengths: list[float]) -> None:
    """In order; and no two neighbours would have fitted into one."""
    packing = Packing[int]()
    packs = [packing.put(index, length) for index, length in enumerate(lengths)]
    packs = [pack for pack in [*packs, packing.rest()] if pack]
    assert [index for pack in packs for index in pack] == list(range(len(lengths)))
    assert all(len(pack) <= PACK_FILES and sum(lengths[index] for index in pack) <= PACK_S + 1e-6 for pack in packs)
    for pack, following in itertools.pairwise(packs):
        assert len(pack) == PACK_FILES or sum(lengths[index] for index in (*pack, following[0])) > PACK_S - 1e-6
    assert packing.rest() == []


@given(some.integers(1, MAX_FILES))
def test_every_file_is_asked_for_once(files: int) -> None:
    chunks = [chunk for page in range(pages_of(files)) for chunk in chunks_of(page, files)]
    assert [index for chunk in chunks for index in chunk] == list(range(files))
    assert all(1 <= len(chunk) <= PACK_FILES for chunk in chunks)
    assert all(chunk[0] // 100 == chunk[-1] // 100 for chunk in chunks)
    assert sum(len(page_files(page, files)) for page in range(pages_of(files))) == files


def test_packs_of_other_files_runs_or_ways_have_other_names() -> None:
    """Whoever comes late can only overwrite what is the same."""
    names = {
        pack_name(run, files, way) for run in (1, 2) for files in [(1, 2), (1, 3), (1,), (12,)] for way in ("a", "b")
    }
    assert len(names) == 16
    assert pack_name(1, (1, 2), "a") == pack_name(1, (1, 2), "a")


def index(count: int, *, files: int | None = None, size: int | None = None) -> ManifestIndex:
    """So many files, and so many files and bytes declared."""
    return ManifestIndex(count, (), 0, files, size)


def entries(*sizes: int | None, fetched: tuple[int, ...] = ()) -> list[ManifestEntry]:
    """Files of these declared sizes; some have an address."""
    return [
        ManifestEntry(index=n, reference=str(n), size_bytes=size, sealed_url=b"sealed" if n in fetched else None)
        for n, size in enumerate(sizes)
    ]


FAULTS = {
    "all is as declared": (None, index(2, files=2, size=30), entries(10, 20), {0: 10, 1: 20}),
    "nothing was declared": (None, index(2), entries(None, None), {0: 10, 1: 20}),
    "more files were declared": ("file_count_mismatch", index(2, files=3), entries(10, 20), {0: 10, 1: 20}),
    "one was never brought": ("file_missing", index(2), entries(10, 20), {0: 10}),
    "one has another size": ("file_size_mismatch", index(2), entries(10, 20), {0: 10, 1: 19}),
    "an empty one has a size declared": ("file_size_mismatch", index(1), entries(1), {0: 0}),
    "together they are more": ("total_size_mismatch", index(2, size=29), entries(10, 20), {0: 10, 1: 20}),
    "together they are less": ("total_size_mismatch", index(2, size=31), entries(None, None), {0: 10, 1: 20}),
    "what is fetched is known later": (None, index(2, size=99), entries(10, None, fetched=(1,)), {0: 10}),
    "too much is there already": ("total_size_mismatch", index(2, size=9), entries(10, None, fetched=(1,)), {0: 10}),
    "a declared size of what is fetched counts": (None, index(2, size=30), entries(10, 20, fetched=(1,)), {0: 10}),
    "too large": ("batch_too_large", index(2), entries(None, None), {0: MAX_BYTES, 1: 1}),
    "as large as may be": (None, index(2), entries(None, None), {0: MAX_BYTES - 1, 1: 1}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_batch_begins_only_as_it_was_declared(case: str) -> None:
    expected, declared, listed, sizes = FAULTS[case]
    assert fault_of(declared, listed, sizes, completed=()) == expected


def test_of_what_is_completed_nothing_is_asked_any_more() -> None:
    """A retry needs only what failed."""
    assert fault_of(index(2, size=30), entries(10, 20), {1: 20}, completed={0}) is None


def ended(*codes: str | None) -> list[BatchFile]:
    """Files that failed of these codes; None: one that is completed."""
    return [
        BatchFile(
            job_id="job_1",
            index=n,
            run=1,
            state="failed" if code else "completed",
            error_code=code and code.partition("/")[0],
            error_reason=(code and code.partition("/")[2]) or None,
        )
        for n, code in enumerate(codes)
    ]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((None, "invalid_audio"), None),
        (("invalid_audio/empty_audio", "invalid_audio/unsupported_format"), ("no_usable_file", None)),
        (("insufficient_funds", "insufficient_funds", "invalid_audio"), ("insufficient_funds", None)),
        (("source_unavailable/gone", "source_unavailable/gone"), ("source_unavailable", "gone")),
        (("invalid_audio", "invalid_audio", "transient_error"), ("invalid_audio", None)),
    ],
)
def test_a_batch_without_a_transcript_fails_of_what_most_of_its_files_failed_of(
    codes: tuple[str | None, ...], expected: tuple[str, str | None] | None
) -> None:
    assert end_of(ended(*codes)) == expected
