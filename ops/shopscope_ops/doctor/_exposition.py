"""A component's own metrics, as its ``/metrics`` shows them."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Exposition"]

Labels = Mapping[str, str]


class Exposition:
    """The samples of one scrape; counters are found with and without ``_total``."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    name = sample.name.removesuffix("_total")
                    self._samples.setdefault(name, []).append((sample.labels, sample.value))
        except (ValueError, KeyError, IndexError):
            # What is not in this form has no samples beyond those before the fault.
            return

    def has_prefix(self, prefix: str) -> bool:
        """Whether any metric's name begins so."""
        return any(name.startswith(prefix) for name in self._samples)

    def labels(self, name: str) -> Iterator[Labels]:
        """The labels of every series of a metric."""
        return (labels for labels, _ in self._samples.get(name, ()))

    def series(self, name: str) -> Iterator[tuple[Labels, float]]:
        """Labels and value of every series of a metric."""
        return iter(self._samples.get(name, ()))

    def sum(self, name: str, **wanted: str) -> float:
        """The sum of a metric's series that have these labels; 0 when there is none."""
        return sum(
            value for labels, value in self.series(name) if all(labels.get(key) == text for key, text in wanted.items())
        )
