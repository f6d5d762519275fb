"""The order of the gallery's pages: as they are listed here, and what is not listed after them."""

from __future__ import annotations

ORDER = (
    *("softmax_denominator", "mixture_log_likelihood", "ising_partition_function"),
    *("importance_weighted_bound", "hidden_markov_scan", "attention_on_a_graph"),
    *("digits_classifier", "mislabelled_digits", "mixture_responsibilities", "stacking"),
    *("checkpoint", "scoring_out_of_core", "zarr_and_hdf5", "xarray_dimension"),
)


class Order:
    """What sphinx-gallery sorts the programs of a folder by."""

    def __init__(self, folder: str) -> None:
        del folder

    def __call__(self, file: str) -> tuple[int, str]:
        """Return the place of a program."""
        name = file.removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)
