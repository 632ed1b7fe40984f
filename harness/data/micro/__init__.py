"""micro-Guru: a generator of verifiable problems, and a tokenizer, for very small models."""

from harness.data.micro.bases import BASES_VERSION, base_bytes
from harness.data.micro.generator import VERSION, data_bytes, generate
from harness.data.micro.tokenizer import micro_tokenizer, save_tokenizer

__all__ = [
    "BASES_VERSION",
    "VERSION",
    "base_bytes",
    "data_bytes",
    "generate",
    "micro_tokenizer",
    "save_tokenizer",
]
