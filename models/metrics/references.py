"""What the measures of generated text have in common: each hypothesis has one reference or several."""

from models.errors import UserError


def paired(metric: str, hypotheses: list[str], references: list) -> list[tuple[str, list[str]]]:
    """Each hypothesis with its list of references, which may be given as a string where there is one.

    Raises UserError for no hypotheses, other numbers of references, or a hypothesis without any.
    """
    if isinstance(hypotheses, str) or isinstance(references, str) or len(hypotheses) != len(references):
        raise UserError(
            f"{metric}: expected a list of hypotheses and as many references, each a text or a list of texts; "
            f"got {len(hypotheses)} and {len(references)}"
        )
    if not len(hypotheses):
        raise UserError(f"{metric}: there are no hypotheses to measure")
    pairs = [(text, [given] if isinstance(given, str) else list(given))
             for text, given in zip(hypotheses, references, strict=True)]  # fmt: skip
    for text, given in pairs:
        if not given:
            raise UserError(f"{metric}: the hypothesis {text[:40]!r} has no reference")
    return pairs
