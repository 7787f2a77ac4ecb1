"""Windows of synthetic speech for training: what the encoder hears, and what encoder and decoder should make of it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from corpus import NUM, WORDS
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

RATE, FRAME_S, FRAMES = 16000, 0.02, 1500
NEAR_S = 0.8
FIRST_MAX = 50
SPECIAL = "endoftext startoftranscript en translate transcribe startoflm startofprev nospeech notimestamps".split()
CLASSES = {w: i for i, w in enumerate(NUM + WORDS, 1)}
IGNORED = -100


def tokenizer(path):
    """Byte-level BPE in which each word of the corpus is one token, then Whisper's specials and 1,501 timestamps."""
    if not Path(path).exists():
        tk = Tokenizer(models.BPE())
        tk.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tk.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
        )
        tk.train_from_iterator([f" {w}" for w in NUM + WORDS], trainer)
        tk.add_special_tokens([AddedToken(f"<|{s}|>", special=True, normalized=False) for s in SPECIAL])
        tk.add_tokens([AddedToken(f"<|{i * FRAME_S:.2f}|>", normalized=False) for i in range(FRAMES + 1)])
        tk.save(str(path))
    return Tokenizer.from_file(str(path))


@dataclass(frozen=True)
class Ids:
    """The ids of the tokens that training names."""

    eot: int
    sot: int
    nospeech: int
    notimestamps: int
    zero: int
    words: dict
    size: int

    @classmethod
    def of(cls, tk):
        words = {w: tk.encode(f" {w}", add_special_tokens=False).ids for w in CLASSES}
        assert all(len(ids) == 1 for ids in words.values()), "each word is to be one token"
        named = (
            tk.token_to_id(f"<|{s}|>") for s in ("endoftext", "startoftranscript", "nospeech", "notimestamps", "0.00")
        )
        return cls(*named, {w: ids[0] for w, ids in words.items()}, tk.get_vocab_size())


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence: int16 audio at 16 kHz, and (word, begin_s, end_s) of each word."""

    audio: np.ndarray
    words: list


def utterances(path):
    z = np.load(path)
    audio, ends, texts, times = z["audio"], z["ends"], z["texts"], iter(z["times"].tolist())
    starts = np.r_[0, ends[:-1]]
    return [
        Utterance(audio[a:b], [(w, *next(times)) for w in str(t).split()])
        for t, a, b in zip(texts, starts, ends, strict=True)
    ]


def noise(r, samples):
    """Faint hiss, digital silence, or now and then something louder that is not speech."""
    kind = r.random()
    if kind < 0.35:
        return np.zeros(samples, np.float32)
    hiss = np.random.default_rng(r.getrandbits(32)).standard_normal(samples, dtype=np.float32)
    if kind > 0.9:
        hiss = np.convolve(hiss, np.ones(r.randint(2, 12), np.float32) / 3, "same")
    level = 10 ** r.uniform(-5, -2.5)
    if kind > 0.97:
        hiss += 3 * np.sin(np.arange(samples, dtype=np.float32) * r.uniform(0.02, 1.5))
    return hiss * np.float32(level)


def window(r, spoken, seconds):
    """Sentences at random places: (audio, segments), a segment being a list of (word, begin_s, end_s) of the words heard whole."""
    audio, segments = noise(r, int(seconds * RATE)), []
    at = r.uniform(0, 0.4) if r.random() < 0.7 else r.uniform(0, seconds * 0.6)
    limit = (
        0.0 if r.random() < 0.04 else seconds if r.random() < (0.55 if seconds > 10 else 0.9) else r.uniform(2, seconds)
    )
    cut = r.random() < 0.15
    level = 10 ** r.uniform(-0.9, 0)
    while at < limit - 0.5:
        one = r.choice(spoken)
        if at + len(one.audio) / RATE > limit and not cut:
            break
        start, stop = int(at * RATE), min(len(audio), int(limit * RATE))
        speech = one.audio[: stop - start].astype(np.float32) / 32768
        audio[start : start + len(speech)] += speech * level * r.uniform(0.6, 1.0)
        heard = [(w, at + a, at + b) for w, a, b in one.words if at + b <= stop / RATE]
        segments += [heard] if heard else []
        at += len(one.audio) / RATE + (r.uniform(0.0, 0.8) if r.random() < 0.85 else r.uniform(1, 4))
    return audio, segments


@cache
def filters():
    return torch.tensor(FeatureExtractor(feature_size=80).mel_filters)


def log_mel(r, audio, content_s):
    """(80, frames) as faster-whisper makes it; after `content_s` the features are zeros, which is how faster-whisper pads."""
    power = (
        torch.stft(torch.from_numpy(audio), 400, 160, window=torch.hann_window(400), return_complex=True)[
            ..., :-1
        ].abs()
        ** 2
    )
    tilt = torch.linspace(r.uniform(-0.4, 0.4), r.uniform(-0.4, 0.4), 80)[:, None]
    mel = (filters() @ power).clamp(min=1e-10).log10() + tilt
    content = round(content_s * 100)
    mel = (torch.maximum(mel, mel[:, :content].max() - 8) + 4) / 4
    mel[:, content:] = 0
    return mel


def masked(r, mel):
    """A few bands silenced, so that no single band is relied on."""
    width = r.randrange(0, 10)
    low = r.randrange(0, 80 - width)
    mel[low : low + width] = mel.mean()
    return mel


def labels(segments, frames):
    """(3, frames): the class of the word at each frame, of the one before, of the one after; 0 is silence."""
    words = [w for s in segments for w in s]
    out = np.full((3, frames), IGNORED)
    out[0] = 0
    for i, (word, begin, end) in enumerate(words):
        a, b = round(begin / FRAME_S), round(end / FRAME_S)
        near_a, near_b = max(0, round((begin - NEAR_S) / FRAME_S)), round((end + NEAR_S) / FRAME_S)
        before = words[i - 1] if i else None
        after = words[i + 1] if i + 1 < len(words) else None
        out[0, a:b] = CLASSES[word]
        from_ = max(near_a, round(before[2] / FRAME_S)) if before else near_a
        until = min(near_b, round(after[1] / FRAME_S)) if after else near_b
        out[2, from_:a] = out[1, b:until] = CLASSES[word]
        if before and begin - before[2] < NEAR_S:
            out[1, a:b] = CLASSES[before[0]]
        if after and after[1] - end < NEAR_S:
            out[2, a:b] = CLASSES[after[0]]
    return out


def sequence(r, ids, segments, offset, timestamps):
    """(given, wanted, spans): tokens in, tokens out, and for each token in the frames (a, b) it stands for."""
    if not segments:
        prompt = [ids.sot, ids.zero if timestamps else ids.notimestamps]
        return [*prompt, ids.eot], [ids.nospeech, ids.eot, IGNORED], [(0, 0)] * 3
    tokens, spans = ([ids.sot], [(0, 0)]) if timestamps else ([ids.sot, ids.notimestamps], [(0, 0)] * 2)
    for segment in segments:
        first, last = round(segment[0][1] / FRAME_S), round(segment[-1][2] / FRAME_S)
        if timestamps:
            tokens.append(ids.zero + offset + first)
            spans.append((max(0, first - 3), first + 4))
        tokens += [ids.words[w] for w, _, _ in segment]
        spans += [(round(a / FRAME_S), round(b / FRAME_S)) for _, a, b in segment]
        if timestamps:
            tokens.append(ids.zero + offset + last)
            spans.append((max(0, last - 4), last + 3))
    tokens, spans = [*tokens, ids.eot], [*spans, (0, 0)]
    wanted = [*tokens[1:], IGNORED]
    if not timestamps:
        wanted[0] = IGNORED
    elif offset == 0:
        wanted[0] = min(tokens[1], ids.zero + FIRST_MAX)
        tokens[1] = ids.zero if r.random() < 0.3 else wanted[0]
    return slipped(r, ids, tokens), wanted, spans


def slipped(r, ids, tokens):
    """Some tokens in are wrong, as when the decoder reads its own: other words, timestamps a little off."""
    words = list(ids.words.values())

    def slip(token):
        if ids.zero < token < ids.zero + FRAMES and r.random() < 0.5:
            return min(max(token + round(r.gauss(0, 4)), ids.zero), ids.zero + FRAMES)
        return r.choice(words) if token < ids.eot and r.random() < 0.05 else token

    return [slip(token) for token in tokens]


@dataclass(frozen=True)
class Example:
    """One window: features, where it lies in the 30 s, frame labels, and the sequences (given, wanted, spans) asked of the decoder."""

    mel: torch.Tensor
    offset: int
    labels: torch.Tensor
    sequences: list


def example(r, spoken, ids, seconds, offset):
    audio, segments = window(r, spoken, seconds)
    content_s = seconds
    if r.random() < 0.5:
        end = segments[-1][-1][2] if segments else 0.5
        content_s = min(seconds, end + r.uniform(0.0, 1.0) + 0.02)
    mel = log_mel(r, audio, content_s)
    mel = masked(r, mel) if r.random() < 0.6 else mel
    frames = mel.shape[1] // 2
    asked = [sequence(r, ids, segments, offset, timestamps) for timestamps in (True, False)]
    return Example(mel, offset, torch.from_numpy(labels(segments, frames)), asked)
