"""`evaluate.py [NAME]`: word error rate of ct2/ on NAME.npz (test), joined into windows of about 8, 16 and 28 s with half-second gaps."""

import sys
from difflib import SequenceMatcher

import numpy as np
from faster_whisper import WhisperModel

GAP = np.zeros(8000, np.float32)


def errors(ref, hyp):
    """Edits that make one list of words the other."""
    row = list(range(len(hyp) + 1))
    for i, a in enumerate(ref, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(hyp, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def read(name):
    """(words, their times, audio) of each sentence."""
    z = np.load(f"{name}.npz")
    audio, ends, texts, times = z["audio"], z["ends"], z["texts"], iter(z["times"].tolist())
    starts = np.r_[0, ends[:-1]]
    cut = zip(texts, starts, ends, strict=True)
    return [
        (str(t).split(), [next(times) for _ in str(t).split()], audio[a:b].astype(np.float32) / 32768 * 0.7)
        for t, a, b in cut
    ]


def windows(spoken, seconds):
    """(words, their times, audio) of sentences joined up to `seconds`."""
    words, times, pieces, length = [], [], [], 0
    for said, when, audio in spoken:
        if pieces and length + len(audio) + len(GAP) > seconds * 16000:
            yield words, times, np.concatenate(pieces)
            words, times, pieces, length = [], [], [], 0
        words, pieces = words + said, [*pieces, audio, GAP]
        times = times + [(a + length / 16000, b + length / 16000) for a, b in when]
        length += len(audio) + len(GAP)
    yield words, times, np.concatenate(pieces)


def late(heard, words, times):
    """How far the middle of each word lies from where it was spoken, for the words that were heard."""
    same = SequenceMatcher(None, [w.word.strip() for w in heard], words, autojunk=False).get_matching_blocks()
    pairs = [(heard[m.a + i], times[m.b + i]) for m in same for i in range(m.size)]
    return [abs((h.start + h.end) / 2 - (a + b) / 2) for h, (a, b) in pairs]


def measure(model, spoken, seconds, without):
    """(word error rate, words, distances of word times in seconds)."""
    wrong, total, distances = 0, 0, []
    for words, times, sound in windows(spoken, seconds):
        options = {"beam_size": 1, "temperature": 0, "condition_on_previous_text": False}
        segments, _ = model.transcribe(
            sound, language="en", word_timestamps=True, without_timestamps=without, **options
        )
        heard = [w for s in segments for w in s.words]
        wrong, total = wrong + errors(words, [w.word.strip() for w in heard]), total + len(words)
        distances += late(heard, words, times)
    return wrong / total, total, distances or [float("nan")]


def main(name):
    model, spoken = WhisperModel("ct2", device="cpu", compute_type="int8"), read(name)
    for seconds in (8, 16, 28):
        for without in (False, True):
            rate, total, distances = measure(model, spoken, seconds, without)
            how = "without timestamps" if without else "with timestamps"
            near, far = np.median(distances), np.quantile(distances, 0.95)
            print(
                f"{seconds} s, {how}: word error rate {rate:.3f} of {total}; times off by {near:.2f} s, 95 % {far:.2f} s"
            )
    silent = [
        s.text
        for sound in (np.zeros(80000, np.float32), np.random.default_rng(1).normal(0, 1e-3, 160000))
        for s in model.transcribe(sound, language="en")[0]
    ]
    print("heard in silence:", silent)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "test")
