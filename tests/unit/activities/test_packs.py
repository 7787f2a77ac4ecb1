"""What do the stations of a pack leave behind, when they run once, again, too late, or die on the way?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from activities.batch import page_width
from activities.batch_tasks import HeardPack
from tests.media_builder import numbered, wav
from tests.unit.activities.batch_desk import BatchDesk, Dead, batch_desk
from tiro.adapters.engines.scripted import Script, ScriptedEngine
from tiro.model.batch import PAGE_FILES, BatchFile
from tiro.model.blob import BlobInfo, file_id, source_key
from tiro.model.errors import Transient
from tiro.model.pack import PACK_S
from tiro.ports import Blobs
from tiro.services.line import Superseded

TEXT = b"no recording at all " * 100


class Grown:
    """A store that is no folder, and says of one object what held before it was brought anew."""

    def __init__(self, blobs: Blobs, key: str) -> None:
        self._blobs = blobs
        self._key = key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def local_path(self, key: str) -> None:
        return None

    def head(self, key: str) -> BlobInfo | None:
        found = self._blobs.head(key)
        if found is None or key != self._key:
            return found
        return msgspec.structs.replace(found, size_bytes=found.size_bytes - 1)


def spoken(seconds: int, first: int = 0) -> bytes:
    return wav(numbered(seconds, first))


@pytest.fixture
async def desk(tmp_path: Path, sqlite_url: str) -> AsyncIterator[BatchDesk]:
    async with batch_desk(tmp_path, sqlite_url) as made:
        yield made


def states(rows: dict[int, BatchFile]) -> dict[int, str]:
    return {index: file.error_code or file.state for index, file in rows.items()}


async def test_a_pack_holds_no_more_than_five_minutes(desk: BatchDesk) -> None:
    await desk.begin([spoken(120), spoken(120), spoken(120), TEXT, spoken(5)])
    done = await desk.ingest(0, 1, 2, 3, 4)
    assert [pack.files for pack in done.packs] == [(0, 1), (2, 4)]
    assert states(await desk.rows()) == {0: "prepared", 1: "prepared", 2: "prepared", 3: "invalid_audio", 4: "prepared"}
    assert done == await desk.ingest(0, 1, 2, 3, 4)


async def test_a_file_that_is_too_long_for_a_pack_is_handed_back(desk: BatchDesk) -> None:
    """Without a row: what becomes of it is not known here."""
    await desk.begin([spoken(2), spoken(round(PACK_S) + 10)])
    done = await desk.ingest(0, 1)
    assert (done.long, [pack.files for pack in done.packs]) == ((1,), [(0,)])
    assert states(await desk.rows()) == {0: "prepared"}


@pytest.mark.parametrize("where", ["prepare", "settle"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_ingest_that_dies_and_is_done_again_leaves_the_same(desk: BatchDesk, where: str, after: bool) -> None:
    await desk.begin([spoken(2), TEXT, spoken(3)])
    desk.files = desk.dying(where, after=after)
    with pytest.raises(Dead):
        await desk.ingest(0, 1, 2)
    desk.files = desk.house.batch_line
    done = await desk.ingest(0, 1, 2)
    assert [pack.files for pack in done.packs] == [(0, 2)]
    assert states(await desk.rows()) == {0: "prepared", 1: "invalid_audio", 2: "prepared"}
    assert len(desk.objects("packs/")) == 1
    async with desk.house.records.begin() as tx:
        (hold,) = [one for one in await tx.wallets.open_holds() if one.job_id == desk.job_id]
    assert hold.seconds == 5


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_hearing_that_dies_and_is_done_again_charges_once(desk: BatchDesk, after: bool) -> None:
    await desk.begin([spoken(2), spoken(3, 10)])
    (pack,) = (await desk.ingest(0, 1)).packs
    desk.files = desk.dying("settle", after=after)
    with pytest.raises(Dead):
        await desk.transcribe(pack.name, 0, 1)
    desk.files = desk.house.batch_line
    assert await desk.transcribe(pack.name, 0, 1) == HeardPack()
    assert await desk.transcribe(pack.name, 0, 1) == HeardPack()
    assert states(await desk.rows()) == {0: "completed", 1: "completed"}
    assert len(desk.objects("heard/")) == 1
    assert (await desk.house.endings.end(desk.job_id, 1, "completed")).job.billed_s == 5


async def test_what_is_done_is_not_heard_again(desk: BatchDesk) -> None:
    """One file of two is in passing trouble: the other is kept, charged, and not asked about again."""
    log = desk.folder / "calls"
    await desk.begin([spoken(2), spoken(3, 10)])
    (pack,) = (await desk.ingest(0, 1)).packs
    desk.engines["one"] = ScriptedEngine(Script(name="one", model="one", fail=("transient_error", 1), log=str(log)))
    first = await desk.transcribe(pack.name, 0, 1)
    assert len(first.again) == 1
    assert len(desk.objects("packs/")) == 1
    assert await desk.transcribe(pack.name, *first.again) == HeardPack()
    assert len(log.read_bytes().splitlines()) == 3
    assert desk.objects("packs/") == {}
    assert states(await desk.rows()) == {0: "completed", 1: "completed"}


async def test_the_third_failure_of_a_file_is_for_good(desk: BatchDesk) -> None:
    """With the last engine of the chain; with one before it, the file passes on."""
    await desk.begin([spoken(2)])
    (pack,) = (await desk.ingest(0)).packs
    for name in ("one", "two"):
        desk.engines[name] = ScriptedEngine(Script(name=name, model=name, fail=("transient_error", None)))
    answers = [await desk.transcribe(pack.name, 0) for _ in range(3)]
    assert answers == [HeardPack(again=(0,)), HeardPack(again=(0,)), HeardPack(passed=(0,))]
    answers = [await desk.transcribe(pack.name, 0, engines=("two",)) for _ in range(3)]
    assert answers == [HeardPack(again=(0,)), HeardPack(again=(0,)), HeardPack()]
    assert states(await desk.rows()) == {0: "transient_error"}


async def test_trouble_of_our_own_rooms_counts_for_no_file(desk: BatchDesk) -> None:
    """It is raised, for Temporal to wait; what is done meanwhile stays done."""
    await desk.begin([spoken(2)])
    (pack,) = (await desk.ingest(0)).packs
    desk.engines["one"] = ScriptedEngine(Script(name="one", model="one", fail=("engine_busy", 5)))
    for _ in range(5):
        with pytest.raises(Transient, match="engine_busy"):
            await desk.transcribe(pack.name, 0)
    assert await desk.transcribe(pack.name, 0) == HeardPack()


async def test_an_attempt_that_finds_its_audio_gone_asks_what_became_of_its_files(desk: BatchDesk) -> None:
    """Done by an attempt that was thought lost: fine. Else they cannot be heard any more, and the others are."""
    await desk.begin([spoken(2)])
    (pack,) = (await desk.ingest(0)).packs
    desk.house.blobs.delete_prefix(f"jobs/{desk.job_id}/packs/")
    assert await desk.transcribe(pack.name, 0) == HeardPack()
    assert {index: file.error_reason for index, file in (await desk.rows()).items()} == {0: "audio_missing"}


async def test_a_file_that_grew_since_it_was_looked_at_is_tried_again_and_holds_up_no_other(desk: BatchDesk) -> None:
    """Three times; it fills no disk, and the file beside it is packed."""
    await desk.begin([spoken(2), spoken(3, 10)])
    desk.house = msgspec.structs.replace(desk.house, blobs=Grown(desk.house.blobs, source_key(file_id(desk.job_id, 0))))
    told = [await desk.ingest(0, 1) for _ in range(3)]
    assert [one.again for one in told] == [(0,), (0,), ()]
    assert [[pack.files for pack in one.packs] for one in told] == [[(1,)]] * 3
    assert states(await desk.rows()) == {0: "transient_error", 1: "prepared"}


async def test_a_cancelled_batch_gets_nothing_more(desk: BatchDesk) -> None:
    await desk.begin([spoken(2)])
    (pack,) = (await desk.ingest(0)).packs
    await desk.house.jobs.cancel(desk.job_id)
    with pytest.raises(Superseded):
        await desk.transcribe(pack.name, 0)
    with pytest.raises(Superseded):
        await desk.ingest(0)
    assert states(await desk.rows()) == {0: "prepared"}


async def test_a_recording_that_is_gone_fails_alone(desk: BatchDesk) -> None:
    await desk.begin([spoken(2), spoken(2)])
    desk.house.blobs.delete(source_key(file_id(desk.job_id, 0)))
    done = await desk.ingest(0, 1)
    assert [pack.files for pack in done.packs] == [(1,)]
    row = (await desk.rows())[0]
    assert (row.error_code, row.error_reason) == ("source_unavailable", "gone")


async def test_the_document_is_the_same_however_often_it_is_written(desk: BatchDesk) -> None:
    """A page that was written before its files had ends is written again; the batch ends once."""
    await desk.begin([spoken(2), TEXT])
    (pack,) = (await desk.ingest(0, 1)).packs
    await desk.transcribe(pack.name, 0)
    await desk.finish_page()
    pages = desk.objects("pages/")
    await desk.finish_page()
    assert desk.objects("pages/") == pages
    ended = await desk.finish()
    document = desk.document()
    assert (ended.outcome, b'"w0 w1"' in document) == ("completed", True)
    with pytest.raises(Superseded):
        await desk.finish()
    assert desk.document() == document


async def test_a_file_that_came_to_no_end_has_failed(desk: BatchDesk) -> None:
    """Nothing is left open when a page is written."""
    await desk.begin([spoken(2), spoken(3)])
    (pack,) = (await desk.ingest(0)).packs
    await desk.transcribe(pack.name, 0)
    await desk.finish_page()
    assert states(await desk.rows()) == {0: "completed", 1: "transient_error"}


async def test_a_page_that_is_not_there_is_no_empty_page(desk: BatchDesk) -> None:
    await desk.begin([spoken(2)])
    (pack,) = (await desk.ingest(0)).packs
    await desk.transcribe(pack.name, 0)
    with pytest.raises(Exception, match="result") as missing:
        await desk.finish()
    assert getattr(missing.value, "code", None) == "result_missing"


@pytest.mark.parametrize(("pages", "width"), [(1, 4), (2, 2), (3, 2), (4, 1), (9, 1)])
def test_a_batch_of_few_pages_has_as_much_under_way_as_one_of_many(pages: int, width: int) -> None:
    """Else nothing would be prepared while its one pack is heard."""
    assert page_width(4, pages * PAGE_FILES) == width
    assert page_width(4, pages * PAGE_FILES - 1) == width
