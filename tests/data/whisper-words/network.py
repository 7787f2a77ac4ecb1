"""The small Whisper as training sees it: where it starts from, and forward passes that also give the attention."""

from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch.nn import functional
from transformers import WhisperConfig, WhisperForConditionalGeneration

WIDTH, HEADS, LAYERS = 144, 4, (4, 3)
CLASSES = 76  # silence, and room for 75 words


def fresh(ids):
    """A new model whose timestamps begin as the encoder's positions: attending to where a timestamp points is there at once."""
    config = WhisperConfig(
        vocab_size=ids.size,
        num_mel_bins=80,
        d_model=WIDTH,
        encoder_layers=LAYERS[0],
        decoder_layers=LAYERS[1],
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        max_source_positions=1500,
        max_target_positions=448,
        dropout=0.0,
        scale_embedding=False,
        suppress_tokens=[],
        begin_suppress_tokens=[],
        pad_token_id=ids.eot,
        bos_token_id=ids.sot,
        eos_token_id=ids.eot,
        decoder_start_token_id=ids.sot,
    )
    model = WhisperForConditionalGeneration(config)
    decoder, places = model.model.decoder, model.model.encoder.embed_positions.weight
    with torch.no_grad():
        for module in decoder.layers.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5)
        for layer in decoder.layers:
            for out in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
                out.weight.mul_(0.5)
            aligned(layer.encoder_attn)
        decoder.embed_tokens.weight.normal_(0, 0.07)
        decoder.embed_tokens.weight[ids.zero : ids.zero + 1500] = 0.08 * places
        turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0]
        decoder.embed_positions.weight.copy_(0.05 * places[:448] @ turn)
    return model


def aligned(attention):
    """Queries and keys that meet where their positions agree: each head takes every fourth (sine, cosine) pair."""
    width, half = WIDTH // HEADS, WIDTH // 2
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.mul_(0.4)
        for head in range(HEADS):
            for i, pair in enumerate(range(head, half, HEADS)):
                projection.weight[head * width + 2 * i, pair] += 1.5
                projection.weight[head * width + 2 * i + 1, half + pair] += 1.5


def load(folder, ids):
    """(model, frame heads): from `folder` where it holds a checkpoint."""
    held = Path(folder, "model.safetensors").exists()
    model = WhisperForConditionalGeneration.from_pretrained(folder).float() if held else fresh(ids)
    heads = torch.nn.Linear(WIDTH, 3 * CLASSES)
    if held:
        load_model(heads, Path(folder, "heads.safetensors"))
    return model, heads


def save(model, heads, folder):
    """Writes what `load` reads, in 16 bits; all heads of the last layer tell where words are."""
    model.generation_config.alignment_heads = [[LAYERS[1] - 1, i] for i in range(HEADS)]
    deepcopy(model).half().save_pretrained(folder)
    save_model(deepcopy(heads).half(), str(Path(folder, "heads.safetensors")))


def encode(model, mel, offsets):
    """(batch, 80, 2 n) features that begin at frame `offsets` of the 30 s -> (batch, n, width)."""
    encoder = model.model.encoder
    h = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
    places = offsets[:, None] + torch.arange(h.shape[1])
    h = h + encoder.embed_positions.weight[places]
    for layer in encoder.layers:
        out = layer(h, None)
        h = out[0] if isinstance(out, tuple) else out
    return encoder.layer_norm(h)


def split(x):
    return x.unflatten(-1, (HEADS, -1)).transpose(-3, -2)


def heard(attention, x, h):
    """Cross-attention of (batch, queries, width) to (batch, frames, width), with its weights (batch, heads, queries, frames)."""
    q = split(attention.q_proj(x)) * (WIDTH // HEADS) ** -0.5
    weights = (q @ split(attention.k_proj(h)).transpose(-1, -2)).softmax(-1)
    return attention.out_proj((weights @ split(attention.v_proj(h))).transpose(-3, -2).flatten(-2)), weights


def remembered(attention, x):
    """Causal self-attention over (batch, tokens, width)."""
    q, k, v = (split(p(x)) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    return attention.out_proj(
        functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(-3, -2).flatten(-2)
    )


def decode(model, tokens, h):
    """(batch, sequences, tokens) over (batch, frames, width) -> logits, and the weights of each layer's cross-attention."""
    decoder, shape = model.model.decoder, tokens.shape
    x = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: shape[2]]
    attended = []
    for layer in decoder.layers:
        x = x + remembered(layer.self_attn, layer.self_attn_layer_norm(x).flatten(0, 1)).unflatten(0, shape[:2])
        add, weights = heard(layer.encoder_attn, layer.encoder_attn_layer_norm(x).flatten(1, 2), h)
        x = x + add.unflatten(1, shape[1:])
        x = x + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(x))))
        attended.append(weights)
    return decoder.layer_norm(x) @ decoder.embed_tokens.weight.T, attended
