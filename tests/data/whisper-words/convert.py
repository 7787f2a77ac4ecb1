"""checkpoint/ -> ct2/: int8 for CTranslate2, with the tokenizer and feature settings that faster-whisper reads."""

import shutil
import subprocess

from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor


def main():
    named = {"bos_token": "<|startoftranscript|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    copied = ["tokenizer.json", "preprocessor_config.json"]
    PreTrainedTokenizerFast(tokenizer_file="checkpoint/tokenizer.json", **named).save_pretrained("checkpoint")
    WhisperFeatureExtractor(feature_size=80).save_pretrained("checkpoint")
    shutil.rmtree("ct2", ignore_errors=True)
    command = [
        "ct2-transformers-converter",
        "--model",
        "checkpoint",
        "--output_dir",
        "ct2",
        "--quantization",
        "int8",
        "--copy_files",
        *copied,
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
