"""Word errors between a text and what a recogniser heard, both in their spoken forms."""

from dataclasses import dataclass

import numpy as np

from voicestack.runtime.text import spoken_form


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Edits between what was meant and what was heard."""

    words: int
    substitutions: int
    deletions: int
    insertions: int
    longest_deletion: int
    longest_insertion: int

    @property
    def edits(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions


def word_errors(meant: str, heard: str) -> WordErrors:
    """Levenshtein alignment of the spoken forms; the longest runs tell skips and repeats."""
    reference, hypothesis = spoken_form(meant).split(), spoken_form(heard).split()
    rows, columns = len(reference) + 1, len(hypothesis) + 1
    cost = np.zeros((rows, columns), np.int64)
    cost[:, 0], cost[0, :] = np.arange(rows), np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            change = cost[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1])
            cost[i, j] = min(change, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    i, j, run = rows - 1, columns - 1, 0
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0, "longest_deletion": 0, "longest_insertion": 0}
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            counts["substitutions"] += int(reference[i - 1] != hypothesis[j - 1])
            i, j, run = i - 1, j - 1, 0
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            counts["deletions"] += 1
            i, run = i - 1, max(run, 0) + 1
            counts["longest_deletion"] = max(counts["longest_deletion"], run)
        else:
            counts["insertions"] += 1
            j, run = j - 1, min(run, 0) - 1
            counts["longest_insertion"] = max(counts["longest_insertion"], -run)
    return WordErrors(len(reference), **counts)
