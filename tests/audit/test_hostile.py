"""Files that are broken, huge or hostile: a clear line each, and the rest is read all the same."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.asking import Audited, audited, told
from tests.audit.packing import tarred, zipped
from tests.audit.queue_writers import array, lines
from tests.audit.work import accident

ROWS = list(spend.litellm(accident()))
LOG = lines(ROWS)
ESCAPES = "\x1b]0;owned\x07\x1b[31m\u202e\x9b31m<b>[bold]'; DROP TABLE calls; --"


def _beside(file: Path, content: bytes | str) -> Audited:
    """Audit a file beside a good one, whose storm has to be found whatever is in the other."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    good = file.with_name("good.jsonl")
    good.write_text(LOG)
    found = audited(file, good)
    assert found.code == 1
    assert [storm["wasted_calls"] for storm in found.storms] == [60]
    return found


NOISE = random.Random(1)
NO_TEXT = {
    "empty": (b"", "empty"),
    "random": (NOISE.randbytes(5000), "binary"),
    "zeros": (bytes(5000), "binary"),
    "sqlite": (b"SQLite format 3\0" + bytes(100), "SQLite"),
    "parquet": (b"PAR1" + bytes(100), "Parquet"),
    "zip": (b"PK\x03\x04" + bytes(100), "zip"),
    "tar": (tarred(LOG.encode()), "a tar archive"),
    "packed tar": (gzip.compress(tarred(LOG.encode())), "a tar archive"),
    "packed twice": (gzip.compress(bz2.compress(LOG.encode())), "packed twice"),
    "zip, packed": (bz2.compress(zipped(a=LOG.encode())), "a zip archive"),
    "cut bzip2": (bz2.compress(LOG.encode())[:200], "breaks off"),
    "damaged bzip2": (b"BZh91AY" + NOISE.randbytes(500), "breaks off"),
    "cut xz": (lzma.compress(LOG.encode())[:200], "breaks off"),
    "damaged xz": (b"\xfd7zXZ\0" + NOISE.randbytes(500), "breaks off"),
    "cut zip": (zipped(a=LOG.encode())[:-30], "zip"),
    "zip of nothing": (zipped(), "a zip archive without files"),
    "prose": (b"Dear all,\nno news today.\n", "not of a format that is known"),
    "number": (b"42\n", "not of a format that is known"),
    "blank": (b"\n\n   \n", "nothing is in it"),
    "bracket": (b"[", "nothing is in it"),
    "no array": (b"[]", "nothing is in it"),
    "deep": (b"[" * 200_000, "nothing is in it"),
    "deeper": (b'{"a":' * 200_000, "nothing is in it"),
    "cut gzip": (gzip.compress(LOG.encode())[:40], "breaks off"),
    "damaged gzip": (b"\x1f\x8b\x08\x00" + NOISE.randbytes(500), "breaks off"),
    "damaged zstd": (b"\x28\xb5\x2f\xfd" + NOISE.randbytes(500), "breaks off"),
    "headings alone": (b"time,task,cost\n", "not of a format that is known"),
    "other records": (b'{"a": 1}\n{"a": 2}\n', "not of a format that is known"),
}


@pytest.mark.parametrize("name", NO_TEXT)
def test_what_is_no_log_is_named_with_its_reason(name: str, tmp_path: Path) -> None:
    """A file without anything to read gets a line with why, and the other file is read."""
    content, why = NO_TEXT[name]
    file = tmp_path / "file"
    assert why in _beside(file, content).source(file)["error"]


def test_what_is_no_file_is_named_with_its_reason(tmp_path: Path) -> None:
    """A folder, a missing file, a broken link, a file of others: a line each."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "good").write_text(LOG)
    (tmp_path / "same").symlink_to(tmp_path / "good")
    names = ["folder", "missing", "link", "loop", "good", "same"]
    found = audited(*(tmp_path / name for name in names), "/dev/null")
    why = {Path(each["path"]).name: each["error"] for each in found.document["sources"]}
    assert why["folder"] == "a folder without files"
    assert why["missing"] == "there is no such file"
    assert why["link"] == "a link to nothing"
    assert "symbolic links" in why["loop"]
    assert why["good"] is None
    assert "the same file as" in why["same"]
    assert why["null"] == "neither a file nor a pipe"
    assert [storm["wasted_calls"] for storm in found.storms] == [60]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_others_is_named(tmp_path: Path) -> None:
    """A file that may not be read is told of, and nothing is raised."""
    file = tmp_path / "file"
    file.write_text(LOG)
    file.chmod(0)
    assert audited(file).source(file)["error"] == "Permission denied"


def test_nothing_readable_is_code_2(tmp_path: Path) -> None:
    """When no file can be read the exit code says so, beside the reasons."""
    (tmp_path / "file").write_bytes(b"")
    code, out, err = told(tmp_path / "file", tmp_path / "missing")
    assert code == 2
    assert out.splitlines()[0] == "No file could be read."
    assert "file: not read: empty" in out
    assert "missing: not read: there is no such file" in out
    assert err == ""


ENCODED = {
    "BOM": codecs.BOM_UTF8 + LOG.encode(),
    "UTF-16": LOG.encode("utf-16"),
    "UTF-16 without a mark": LOG.encode("utf-16-le"),
    "UTF-16 the other way": codecs.BOM_UTF16_BE + LOG.encode("utf-16-be"),
    "CRLF": LOG.replace("\n", "\r\n").encode(),
    "NUL": LOG.replace("\n", "\0\n").encode(),
    "no end": LOG.rstrip().encode(),
    "zstd": zstandard.compress(LOG.encode()),
    "gzip twice": gzip.compress(LOG[: LOG.index("\n", 9000) + 1].encode())
    + gzip.compress(LOG[LOG.index("\n", 9000) + 1 :].encode()),
    "blank lines": LOG.replace("\n", "\n\n").encode(),
    "pretty": "\n".join(json.dumps(row, indent=2) for row in ROWS).encode(),
    "one array on one line": json.dumps(ROWS).encode(),
    "in data": json.dumps({"total": 63, "data": ROWS}).encode(),
    "pages on lines": lines([{"data": ROWS[:30]}, {"data": ROWS[30:]}]).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODED)
def test_any_encoding_and_framing_is_read(name: str, tmp_path: Path) -> None:
    """Marks, zeros, foreign line ends and packings don't hide a row."""
    file = tmp_path / "file"
    file.write_bytes(ENCODED[name])
    found = audited(file)
    assert found.source(file)["rows"] == 63
    assert found.source(file)["error"] is None
    assert [storm["wasted_calls"] for storm in found.storms] == [60]


def test_bad_rows_are_counted_and_the_others_read(tmp_path: Path) -> None:
    """Rows that are no JSON, of another kind or without a time are counted with their reason."""
    rows = LOG.splitlines()
    timeless = json.dumps({**ROWS[0], "startTime": None})
    bad = ['{"request_id": "cut', timeless, '{"other": 1}', "Killed", '{"a": ' * 5000, "nul\\"]
    file = tmp_path / "file"
    file.write_text("\n".join([*rows[:10], *bad, *rows[10:]]))
    source = audited(file).source(file)
    assert source["rows"] == 69
    why = {each["why"]: (each["rows"], each["first_line"]) for each in source["skipped"]}
    assert why["a row without a time"] == (1, 12)
    assert why["no JSON"] == (4, 11)
    assert why["of no format that is known"] == (1, 13)


def test_a_document_that_breaks_off_gives_what_is_before(tmp_path: Path) -> None:
    """The records before the end of a cut array or page are used, and the cut is told of."""
    file = tmp_path / "file"
    for text in (array(ROWS), json.dumps({"data": ROWS}), array([*ROWS, {"x": 1}])):
        file.write_text(text[: len(text) * 2 // 3])
        found = audited(file)
        assert found.source(file)["rows"] > 30
        assert any(
            "breaks off" in e["why"] or "cut" in e["why"] for e in found.source(file)["skipped"]
        )
        assert found.storms


def test_a_record_that_is_broken_is_passed_over(tmp_path: Path) -> None:
    """In the midst of an array a record that is no JSON costs itself alone."""
    text = array(ROWS).replace('"call_type": "acompletion"', '"call_type": acompletion', 1)
    file = tmp_path / "file"
    file.write_text(text)
    source = audited(file).source(file)
    assert (source["rows"], [each["why"] for each in source["skipped"]]) == (62, ["no JSON"])


def test_a_line_without_an_end_is_left_out(tmp_path: Path) -> None:
    """A line of more than 32 MiB is left out and told of; those around it are read."""
    rows = LOG.splitlines()
    huge = json.dumps({**ROWS[0], "messages": "x" * 34_000_000})
    file = tmp_path / "file"
    file.write_text("\n".join([*rows[:30], huge, *rows[30:]]))
    found = audited(file)
    assert found.source(file)["notes"] == ["a line longer than 32 MiB was left out"]
    assert found.source(file)["rows"] == 63
    assert [storm["wasted_calls"] for storm in found.storms] == [60]


ABSURD: dict[str, Any] = {
    "spend": ["1e400", "-5", '"NaN"', "NaN", "null", '"a lot"', "1e30", "[1]",
              '"' + "9" * 5000 + '"'],
    "prompt_tokens": ["1e400", "-5", "1.5e300", '"x"', "null", "9" * 5000],
    "startTime": ["-1", "1e400", '"yesterday"', "99999999999999999999999", "{}",
                  '"9999-12-31T23:59:59Z"'],
}  # fmt: skip


@pytest.mark.parametrize("field", ABSURD)
def test_absurd_numbers_are_unknown_and_never_nothing(field: str, tmp_path: Path) -> None:
    """What can't be an amount, a count or a time is not known; it is no zero and no crash."""
    apart = [{"request_id": f"{n}", "cache_key": f"{n}", "metadata": "{}"} for n in range(9)]
    rows = [json.dumps({**ROWS[0], **each, field: "@"}) for each in apart]
    file = tmp_path / "file"
    pairs = zip(rows, ABSURD[field], strict=False)
    file.write_text("\n".join(row.replace('"@"', absurd) for row, absurd in pairs))
    found = _beside(file, file.read_bytes())
    totals = found.document["totals"]
    if field == "spend":
        assert totals["calls_without_cost"] >= len(ABSURD[field])
        assert totals["cost"]["USD"] == "0.007875"
    if field == "startTime":
        (skipped,) = found.source(file)["skipped"]
        assert skipped["why"] == "a row without a time"


@pytest.mark.parametrize(
    "time",
    ["1790000000", "1790000000000", "1790000000000000", "1790000000000000000", "1790000000.0",
     '"2026-09-21T14:13:20Z"', '"2026-09-21T16:13:20+02:00"', '"2026-09-21 14:13:20.000000"',
     '"21/Sep/2026:14:13:20 +0000"', '"1790000000"'],
)  # fmt: skip
def test_times_are_read_in_any_unit_and_zone(time: str, tmp_path: Path) -> None:
    """Seconds, milli-, micro-, nanoseconds, ISO 8601 with zones, access logs: the same moment."""
    file = tmp_path / "file"
    file.write_text("".join(f'{{"t": {time}, "p": "same"}}\n' for _ in range(3)))
    (found,) = audited(file, "--map", "time=t,prompt=p").document["identical"]
    assert (found["first"], found["times"]) == ("2026-09-21T14:13:20+00:00", 3)


def test_nothing_in_a_file_steers_the_terminal(tmp_path: Path) -> None:
    """Escape sequences, markup and SQL in names are shown as what they are, keys are masked."""
    log = "\n".join(queues.app_log(accident())).replace("course-42", "course\\x1b42")
    text = lines(
        {**row, "end_user": ESCAPES, "model": ESCAPES, "metadata": {"spend_logs_metadata":
         {"task": ESCAPES + " sk-proj-abcdefghijklmnop"}}} for row in ROWS
    )  # fmt: skip
    file = tmp_path / "na\x1b[31mme"
    file.write_text(text)
    (tmp_path / "log").write_text(log.replace("does not exist", ESCAPES))
    code, out, err = told(file, tmp_path / "log")
    document = told(file, tmp_path / "log", "--json")[1]
    assert code == 1
    for said in (out + err, *_strings(json.loads(document))):
        assert [each for each in said if not each.isprintable() and each != "\n"] == []
        assert "sk-proj-abcdefghijklmnop" not in said
    assert "DROP TABLE calls" in out
    assert "[bold]" in out


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.items() for part in each for text in _strings(part)]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) else []


def test_a_pipe_is_read(tmp_path: Path) -> None:
    """A named pipe, as `<(command)` gives one, is read like a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if not (child := os.fork()):
        pipe.write_text(LOG)
        os._exit(0)
    found = audited(pipe)
    os.waitpid(child, 0)
    assert [storm["wasted_calls"] for storm in found.storms] == [60]


def test_addresses_that_are_none_do_no_harm(tmp_path: Path) -> None:
    """A call to an address that can't be parsed is a call all the same, to nobody known."""
    log = "\n".join(queues.app_log(accident()))
    file = tmp_path / "log"
    file.write_text(log.replace("https://api.openai.com/", "http://[::1/x:y/"))
    (storm,) = audited(file).storms
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_piped_in_is_read(packed: bool) -> None:
    """`-` is the standard input, packed or not."""
    command = [sys.executable, "-m", "payonce", "audit", "-", "--json"]
    given = gzip.compress(LOG.encode()) if packed else LOG.encode()
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    found = json.loads(done.stdout)
    assert [storm["wasted_calls"] for storm in found["storms"]] == [60]
    assert [(each["path"], each["rows"]) for each in found["sources"]] == [("-", 63)]


def test_a_folder_is_read_with_what_is_in_it(tmp_path: Path) -> None:
    """The files of a folder and of those below are read, hidden ones are not."""
    (tmp_path / "logs" / "day" / ".hidden").mkdir(parents=True)
    (tmp_path / "logs" / "day" / "rows").write_text(LOG)
    (tmp_path / "logs" / ".rows").write_text(LOG)
    (tmp_path / "logs" / "day" / ".hidden" / "rows").write_text(LOG)
    found = audited(tmp_path / "logs")
    assert [each["path"] for each in found.document["sources"]] == [
        str(tmp_path / "logs" / "day" / "rows")
    ]
    assert [storm["wasted_calls"] for storm in found.storms] == [60]


def test_what_to_map_is_proposed(tmp_path: Path) -> None:
    """For records of no known format the line says what to give with --map; and it is right."""
    file = tmp_path / "rows"
    rows = [
        {"createdAt": row["startTime"], "job": {"id": "course-42", "try": n // 3 + 1},
         "usage": {"promptTokens": 417, "completionTokens": 53}, "costUsd": row["spend"],
         "prompt": row["cache_key"], "error": "no such column: outline"}
        for n, row in enumerate(ROWS)
    ]  # fmt: skip
    file.write_text(lines(rows))
    why = audited(file).source(file)["error"]
    _, _, proposed = why.partition("its fields might be --map ")
    assert proposed == (
        "time=createdAt,task=job.id,cost=costUsd,tokens_in=usage.promptTokens,"
        "tokens_out=usage.completionTokens,error=error,prompt=prompt,attempt=job.try"
    )
    (storm,) = audited(file, "--map", proposed).storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)


def test_many_files_that_are_alike_are_told_of_in_short(tmp_path: Path) -> None:
    """Of 30 files of one kind ten are named; one with something to say is named among them."""
    for n in range(30):
        (tmp_path / f"{n:02}").write_text(lines(ROWS[:2]) + ("oops\n" if n == 25 else ""))
    out = told(tmp_path)[1]
    assert "… and 19 more files: LiteLLM SpendLogs" in out
    assert "skipped 1 row: no JSON, the first in line 3" in out


def test_without_duckdb_the_install_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the command says what to install, and ends with code 2."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, out, err = told(tmp_path / "file")
    assert (code, out) == (2, "")
    assert 'pip install "payonce[audit]"' in err


@pytest.mark.parametrize(
    ("mapping", "why"),
    [("task=a", "no time"), ("time=t,colour=c", "'colour' is no field"), ("time", "is no field"),
     ("nonsense", "'nonsense' is no field")],
)  # fmt: skip
def test_a_wrong_mapping_is_told(mapping: str, why: str, tmp_path: Path) -> None:
    """A field that can't be mapped, or no time, is an error that names the fields."""
    code, _, err = told(tmp_path / "file", "--map", mapping)
    assert code == 2
    assert why in err
    assert "tokens_in" in err


def test_a_path_that_is_no_path_is_told(tmp_path: Path) -> None:
    """A mapped name that DuckDB can't read as a path is the file's trouble, not a traceback."""
    file = tmp_path / "file"
    file.write_text('{"t": 1790000000}\n')
    found = audited(file, "--map", "time=$[[[")
    assert found.code == 2
    assert "DuckDB can't read it" in found.source(file)["error"]
