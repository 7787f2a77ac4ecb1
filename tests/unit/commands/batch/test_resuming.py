"""What a later call does with what earlier ones left: nothing twice, nothing forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from commands.batch.journal import Asked, Brought, Ended, Journal, Result
from commands.batch.places import HIDDEN, NotWritten
from commands.batch.plan import MOST_BYTES, MOST_FILES, Plan, plan_of, stamp_of
from commands.batch.report import report_of
from commands.batch.results import Results
from tests.unit.commands.batch.handed import end, entry, hand_over

A, B, C = entry("a"), entry("b"), entry("c")


def names(plan: Plan) -> tuple[list[str], list[list[str]], list[str], list[str]]:
    """kept, fresh, open, fetch."""
    fresh = [[one.reference for one in batch] for batch in plan.fresh]
    return [one.reference for one in plan.kept], fresh, [one.ask for one in plan.open], [one.ask for one in plan.fetch]


def planned(
    folder: Path, *entries: object, formats: tuple[str, ...] = ("txt",)
) -> tuple[list[str], list[list[str]], list[str], list[str]]:
    """By a later call, which knows what is on the disk and nothing else."""
    with Journal(folder).held() as journal:
        return names(plan_of(list(entries), journal, folder, formats))  # type: ignore[arg-type]  # entries are Entry


def test_at_first_everything_is_fresh(tmp_path: Path) -> None:
    assert planned(tmp_path, A, B) == ([], [["a", "b"]], [], [])


def test_a_handover_without_an_end_is_gone_on_with_and_nothing_of_it_is_handed_over_again(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B)
        journal.add(Result("1", "a", "completed"))
    assert planned(tmp_path, A, B, C) == ([], [["c"]], ["1"], [])


def test_what_is_finished_stays_and_what_failed_is_tried_anew(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B)
        end(journal, "1", tmp_path, ["a"], ["b"])
    assert planned(tmp_path, A, B) == (["a"], [["b"]], [], [])


def test_results_that_are_missing_are_read_again_not_made_again(tmp_path: Path) -> None:
    """Taken away, or in a format that was not asked for before."""
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B)
        end(journal, "1", tmp_path, ["a", "b"], [])
    (tmp_path / "b.txt").unlink()
    assert planned(tmp_path, A, B) == (["a"], [], [], ["1"])
    assert planned(tmp_path, A, formats=("txt", "vtt")) == ([], [], [], ["1"])


def test_a_recording_that_changed_is_another_one(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B)
        end(journal, "1", tmp_path, ["a", "b"], [])
    assert planned(tmp_path, entry("a", stamp="6:2"), B) == (["b"], [["a"]], [], [])


def test_an_address_that_was_signed_anew_is_the_same_recording() -> None:
    one, other = (entry("a").__class__(reference="a", url=f"https://h.example/a.mp3?signature={n}") for n in (1, 2))
    assert stamp_of(one) == stamp_of(other)
    assert "signature" not in stamp_of(one)


def test_the_last_handover_of_a_recording_counts_whatever_an_earlier_one_still_says(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A)
        hand_over(journal, "2", A)
        end(journal, "2", tmp_path, ["a"], [])
        end(journal, "1", tmp_path, [], ["a"])
        assert journal.results["a"].state == "completed"
    assert planned(tmp_path, A) == (["a"], [], [], [])


def test_what_was_brought_is_known_later(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B, started=False)
        journal.add(Brought("1", "a"))
    with Journal(tmp_path).held() as journal:
        (handover,) = journal.handovers.values()
        assert (handover.brought, handover.started) == ({"a"}, False)


def test_a_line_that_was_not_written_to_its_end_was_not_written(tmp_path: Path) -> None:
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A)
    with (tmp_path / HIDDEN / "journal.jsonl").open("a") as torn:
        torn.write('{"type":"ended","ask":"1","sta')
    with Journal(tmp_path).held() as journal:
        assert journal.handovers["1"].open
        journal.add(Ended("1", "completed"))
    with Journal(tmp_path).held() as journal:
        assert journal.handovers["1"].status == "completed"


@pytest.mark.parametrize("line", ["nonsense\n", '{"type":"ended","ask":"unknown","status":"completed"}\n'])
def test_a_journal_that_is_none_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / HIDDEN).mkdir()
    (tmp_path / HIDDEN / "journal.jsonl").write_text(line)
    with pytest.raises(click.ClickException, match="line 1,"), Journal(tmp_path).held():
        pass


def test_two_calls_do_not_work_on_one_folder(tmp_path: Path) -> None:
    with Journal(tmp_path).held(), pytest.raises(NotWritten, match="Another"), Journal(tmp_path).held():
        pass


def test_a_journal_holds_no_secrets_and_is_its_owners(tmp_path: Path) -> None:
    secret = entry("a").__class__(reference="a", url="https://h.example/a.mp3?signature=secret")
    with Journal(tmp_path).held() as journal:
        journal.add(Asked("1", {"a": stamp_of(secret)}))
    file = tmp_path / HIDDEN / "journal.jsonl"
    assert "secret" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_there_are_as_many_batches_as_the_servers_limits_ask_for(tmp_path: Path) -> None:
    many = [entry(str(n), size_bytes=1) for n in range(MOST_FILES + 1)]
    large = [entry(f"large{n}", size_bytes=MOST_BYTES // 2) for n in range(3)]
    with Journal(tmp_path).held() as journal:
        assert [len(batch) for batch in plan_of(many, journal, tmp_path, ["txt"]).fresh] == [MOST_FILES, 1]
        assert [len(batch) for batch in plan_of(large, journal, tmp_path, ["txt"]).fresh] == [2, 1]


def test_a_result_document_becomes_files_and_lines_and_can_be_split_again(tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    good = {"reference_id": "a", "billed_seconds": 3, "cost": 0.000125, "text": "Said.", "vtt": "WEBVTT\n"}
    bad = {"reference_id": "b", "error": "Not a recording.", "code": "failed_unsupported_batch_format"}
    document.write_text(json.dumps({"job_id": "job_1", "results": [good, bad]}))
    formats = ("txt", "vtt", "json")
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B, C)
        for _ in range(2):
            Results(tmp_path, formats, journal).split(document, journal.handovers["1"])
        journal.add(Ended("1", "completed_with_errors", 0.000126))
        report = report_of([A, B, C, entry("d")], journal, tmp_path, formats)
    assert (tmp_path / "a.txt").read_text() == "Said.\n"
    assert json.loads((tmp_path / "a.json").read_bytes()) == good
    assert [(file.status, file.code) for file in report.files] == [
        ("completed", None),
        ("failed", "failed_unsupported_batch_format"),
        ("failed", "result_missing"),
        ("pending", None),
    ]
    assert report.files[0].outputs == ("a.txt", "a.vtt", "a.json")
    assert (report.totals.seconds, report.totals.cost, report.status) == (3, 0.000126, 1)


def test_mending_writes_only_what_is_missing(tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    document.write_text(
        json.dumps({"results": [{"reference_id": "a", "text": "new"}, {"reference_id": "b", "text": "new"}]})
    )
    with Journal(tmp_path).held() as journal:
        hand_over(journal, "1", A, B)
        end(journal, "1", tmp_path, ["a", "b"], [])
        (tmp_path / "b.txt").unlink()
        Results(tmp_path, ("txt",), journal).mend(document, journal.handovers["1"])
    assert ((tmp_path / "a.txt").read_text(), (tmp_path / "b.txt").read_text()) == ("said", "new\n")
