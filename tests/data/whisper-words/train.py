"""Train (or carry on with) the small Whisper: `train.py MINUTES [options]`, from train.npz, into checkpoint/.

The encoder learns which word each frame is in (and which come before and after); the decoder learns the tokens,
and where to listen for each. Encoding is what costs, so each window is encoded once and then kept for several more
steps of the decoder alone.
"""

import argparse
import random
import time
from collections import deque
from pathlib import Path

import torch
from muon import Muon
from network import CLASSES, decode, encode, load, save
from speech import FRAMES, IGNORED, Ids, example, tokenizer, utterances
from torch.nn import functional

SOFT = torch.tensor([0.05, 0.2, 0.5, 0.2, 0.05])


def collate(sequences, eot):
    """Lists of (given, wanted, spans) per window -> padded (windows, sequences, tokens[, 2]) tensors."""
    size = max(len(given) for window in sequences for given, _, _ in window)
    shape = (len(sequences), len(sequences[0]), size)
    given, wanted, spans = (
        torch.full(shape, eot),
        torch.full(shape, IGNORED),
        torch.zeros((*shape, 2), dtype=torch.long),
    )
    for i, window in enumerate(sequences):
        for j, (g, w, s) in enumerate(window):
            given[i, j, : len(g)], wanted[i, j, : len(w)], spans[i, j, : len(s)] = (
                torch.tensor(g),
                torch.tensor(w),
                torch.tensor(s),
            )
    return given, wanted, spans


def token_loss(logits, wanted, zero):
    """Cross-entropy; a timestamp may be off by a frame or two for less."""
    asked = wanted != IGNORED
    logits, wanted = logits[asked], wanted[asked]
    log_p = logits.log_softmax(-1)
    stamp = wanted >= zero
    words = functional.nll_loss(log_p[~stamp], wanted[~stamp], reduction="sum")
    near = (wanted[stamp][:, None] + torch.arange(-2, 3)).clamp(zero, logits.shape[-1] - 1)
    stamps = -(log_p[stamp].gather(1, near) * SOFT).sum()
    best = logits.argmax(-1)
    right = (best == wanted)[~stamp].float().mean()
    close = ((best - wanted).abs() <= 5)[stamp].float().mean() if stamp.any() else right
    return (words + 0.8 * stamps) / len(wanted), right.item(), close.item()


def listening_loss(attended, spans):
    """How little of the attention lies on the frames of the token in (first layer) or of the token to come (the other layers)."""
    coming = torch.cat([spans[:, :, 1:], torch.zeros_like(spans[:, :, :1])], 2)
    places = [where.flatten(1, 2) for where in (spans, coming, coming)]
    total = 0.0
    for weights, where, heads in zip(attended, places, (slice(0, 2), slice(0, 2), slice(0, 4)), strict=True):
        frames = torch.arange(weights.shape[-1])
        inside = (frames >= where[..., :1]) & (frames < where[..., 1:])
        mass = (weights[:, heads] * inside[:, None]).sum(-1)
        asked = (where[..., 1] > where[..., 0])[:, None].expand_as(mass)
        total = total - ((mass + 1e-4).log() * asked).sum() / asked.sum().clamp(min=1)
    return total / 3


def optimizers(group):
    """Muon for the matrices inside, Adam for embeddings, kernels, biases and norms."""
    matrices = [p for p in group if p.ndim == 2 and max(p.shape) <= 4 * 144]
    others = [p for p in group if not any(p is m for m in matrices)]
    return [
        Muon(matrices),
        torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01),
    ]


class Trainer:
    """One model in training, with its optimizer and the encoded windows it keeps."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        Path("checkpoint").mkdir(exist_ok=True)
        self.options, self.r, self.ids = (
            options,
            random.Random(options.seed),
            Ids.of(tokenizer("checkpoint/tokenizer.json")),
        )
        self.spoken = utterances("train.npz")
        self.model, self.heads = load("checkpoint", self.ids)
        self.model.train()
        hearing = [*self.model.model.encoder.parameters(), *self.heads.parameters()]
        self.groups = [[p for p in hearing if p.requires_grad], list(self.model.model.decoder.parameters())]
        self.optimizers = [optimizer for group in self.groups for optimizer in optimizers(group)]
        self.kept = {True: deque(maxlen=options.keep), False: deque(maxlen=options.keep * 3)}
        self.seen = {}

    def note(self, name, value):
        self.seen[name] = 0.95 * self.seen[name] + 0.05 * value if name in self.seen else value

    def step(self, loss, share):
        """One step of the optimizer at `share` of the full learning rates."""
        for i, optimizer in enumerate(self.optimizers):
            optimizer.param_groups[0]["lr"] = self.options.rates[i // 2] * share
            optimizer.zero_grad()
        loss.backward()
        for group in self.groups:
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()

    def telling(self, h, sequences, kind):
        """The loss of the decoder over encoded windows."""
        given, wanted, spans = collate(sequences, self.ids.eot)
        logits, attended = decode(self.model, given, h)
        tokens, right, close = token_loss(logits, wanted, self.ids.zero)
        listening = listening_loss(attended, spans)
        for name, value in (("ce", tokens.item()), ("listen", listening.item()), ("words", right), ("stamps", close)):
            self.note(f"{kind} {name}", value)
        return tokens + self.options.listen * listening

    def hear(self, share, whole):
        """A step of encoder and decoder over new windows, which are then kept."""
        seconds = 30 if whole else 10
        offsets = [
            0 if whole or self.r.random() < 0.1 else self.r.randrange(FRAMES - 500) for _ in range(2 if whole else 6)
        ]
        batch = [example(self.r, self.spoken, self.ids, seconds, offset) for offset in offsets]
        h = encode(self.model, torch.stack([b.mel for b in batch]), torch.tensor(offsets))
        wanted = torch.stack([b.labels for b in batch])
        guesses = self.heads(h).unflatten(-1, (3, CLASSES)).permute(0, 3, 2, 1)
        frames = functional.cross_entropy(guesses, wanted, ignore_index=IGNORED)
        spoken = wanted[:, 0] > 0
        self.note("frames", frames.item())
        for i, name in enumerate(("now", "before", "after")):
            self.note(
                name,
                (guesses[:, :, i].argmax(1) == wanted[:, i])[spoken & (wanted[:, i] >= 0)]
                .float()
                .mean()
                .nan_to_num(1)
                .item(),
            )
        loss = frames * self.options.frames
        if self.options.decoder:
            loss = loss + self.telling(h, [b.sequences for b in batch], "30" if whole else "10")
            self.kept[whole].extend((one.half(), b.sequences) for one, b in zip(h.detach(), batch, strict=True))
        self.step(loss, share)

    def recall(self, share, whole):
        """A step of the decoder alone, over windows encoded before."""
        batch = self.r.sample(self.kept[whole], 4 if whole else 12)
        self.step(
            self.telling(torch.stack([h for h, _ in batch]).float(), [s for _, s in batch], "30" if whole else "10"),
            share,
        )

    def run(self):
        start, budget, steps = time.time(), self.options.minutes * 60, 0
        saved = printed = start
        while (done := (time.time() - start) / budget) < 1:
            share = min(1, (steps + 1) / 30) * (1 - (1 - self.options.end) * done)
            whole = self.r.random() < self.options.whole[0] * (1 - done) + self.options.whole[1] * done
            self.hear(share, whole)
            for _ in range(self.options.recalls if self.options.decoder else 0):
                if len(self.kept[whole]) >= 12:
                    self.recall(share, whole)
            steps += 1
            if time.time() - printed > 20:
                printed = time.time()
                print(f"{steps} {printed - start:.0f}s", *(f"{k} {v:.3f}" for k, v in self.seen.items()), flush=True)
            if time.time() - saved > 60:
                saved = time.time()
                save(self.model, self.heads, "checkpoint")
        save(self.model, self.heads, "checkpoint")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument(
        "--rates", type=float, nargs=2, default=(1e-3, 1e-3), help="learning rates of encoder and decoder"
    )
    parser.add_argument("--end", type=float, default=0.1, help="share of the learning rates left at the end")
    parser.add_argument(
        "--whole",
        type=float,
        nargs=2,
        default=(0.3, 0.8),
        help="share of windows of 30 s at start and end; the others have 10 s",
    )
    parser.add_argument("--recalls", type=int, default=2, help="steps of the decoder alone after each step of both")
    parser.add_argument("--keep", type=int, default=100, help="windows of 30 s kept encoded")
    parser.add_argument("--listen", type=float, default=0.5, help="weight of the attention loss")
    parser.add_argument("--frames", type=float, default=1.0, help="weight of the frame loss")
    parser.add_argument("--decoder", type=int, default=1, help="0: train the encoder alone")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    Trainer(parser.parse_args()).run()
